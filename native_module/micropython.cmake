# ulnn as a user C module, for ports built by CMake (esp32, rp2):
#
#     make -C ports/esp32 BOARD=... USER_C_MODULES=/path/to/ulnn/native_module/micropython.cmake

add_library(usermod_ulnn INTERFACE)

target_sources(usermod_ulnn INTERFACE
    ${CMAKE_CURRENT_LIST_DIR}/bindings/modulnn.c
    ${CMAKE_CURRENT_LIST_DIR}/core/ulnn_load.c
    ${CMAKE_CURRENT_LIST_DIR}/core/ulnn_load_layer.c
    ${CMAKE_CURRENT_LIST_DIR}/core/ulnn_load_matrix.c
    ${CMAKE_CURRENT_LIST_DIR}/core/ulnn_load_ltc.c
    ${CMAKE_CURRENT_LIST_DIR}/core/ulnn_step.c
    ${CMAKE_CURRENT_LIST_DIR}/core/ulnn_cells.c
    ${CMAKE_CURRENT_LIST_DIR}/core/ulnn_ltc.c
    ${CMAKE_CURRENT_LIST_DIR}/core/ulnn_text.c
    ${CMAKE_CURRENT_LIST_DIR}/kernels/portable.c
    ${CMAKE_CURRENT_LIST_DIR}/kernels/cortex_m4.S
    ${CMAKE_CURRENT_LIST_DIR}/kernels/cortex_m7.S
    ${CMAKE_CURRENT_LIST_DIR}/kernels/rv32imc.S
)

# cmake -DULNN_CELLS=cfc leaves out what natmods leave out with CELLS=cfc.
if(ULNN_CELLS STREQUAL "cfc")
    target_compile_definitions(usermod_ulnn INTERFACE ULNN_CELLS_CFC=1)
endif()

target_link_libraries(usermod INTERFACE usermod_ulnn)
