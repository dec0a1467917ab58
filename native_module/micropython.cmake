# ulnn as a user C module, for ports built by CMake (esp32, rp2):
#
#     make -C ports/esp32 BOARD=... USER_C_MODULES=/path/to/ulnn/native_module/micropython.cmake

add_library(usermod_ulnn INTERFACE)

file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/sources.txt ULNN_SOURCES)
list(TRANSFORM ULNN_SOURCES PREPEND ${CMAKE_CURRENT_LIST_DIR}/)
target_sources(usermod_ulnn INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/bindings/modulnn.c
    ${ULNN_SOURCES}
)

# cmake -DULNN_CELLS=cfc leaves out what natmods leave out with CELLS=cfc.
if(ULNN_CELLS STREQUAL "cfc")
    target_compile_definitions(usermod_ulnn INTERFACE ULNN_CELLS_CFC=1)
endif()

target_link_libraries(usermod INTERFACE usermod_ulnn)
