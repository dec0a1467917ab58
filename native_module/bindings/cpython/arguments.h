// SPDX-License-Identifier: MIT
// Arguments of the CPython extension: buffers and dt, with the errors of SPEC section 5.
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

// Exporters refuse a request with BufferError or ValueError; SPEC section 5 wants TypeError.
static int get_buffer(PyObject *object, Py_buffer *view, int flags) {
    if (PyObject_GetBuffer(object, view, flags) == 0) {
        return 0;
    }
    if (PyErr_ExceptionMatches(PyExc_BufferError) || PyErr_ExceptionMatches(PyExc_ValueError)) {
        PyObject *type = PyType_GetName(Py_TYPE(object));
        if (type != NULL) {
            PyErr_Format(PyExc_TypeError,
                "a %s, contiguous bytes-like object is required, not '%U'",
                flags & PyBUF_WRITABLE ? "read-write" : "readable", type);
            Py_DECREF(type);
        }
    }
    return -1;
}

// The typecode of a buffer of native values, or 0.
static char typecode(const Py_buffer *view) {
    const char *format = view->format == NULL ? "B" : view->format;
    if (*format == '@' || *format == '=' || *format == '<') {
        format++;
    }
    return format[0] != 0 && format[1] == 0 ? format[0] : 0;
}

// Gets a buffer of int16 values. `name` is that of the argument in the error text.
static int get_values(PyObject *object, Py_buffer *view, int flags, const char *name) {
    if (get_buffer(object, view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | flags) < 0) {
        return -1;
    }
    if (typecode(view) != 'h' || view->itemsize != 2) {
        PyBuffer_Release(view);
        PyErr_Format(PyExc_ValueError, "%s: expected int16 values (array 'h')", name);
        return -1;
    }
    return 0;
}

static int check_length(const Py_buffer *view, size_t want, const char *name) {
    size_t got = (size_t)view->len / 2;
    if (got != want) {
        PyErr_Format(PyExc_ValueError, "%s: expected %zu values, got %zu", name, want, got);
        return -1;
    }
    return 0;
}

// A dt as the core takes it; 0 with an exception. Whatever exceeds 32 bits is clamped anyway.
static uint32_t get_dt(PyObject *object) {
    PyObject *number = PyNumber_Index(object);
    if (number == NULL) {
        return 0;
    }
    int overflow;
    long long dt = PyLong_AsLongLongAndOverflow(number, &overflow);
    if (overflow > 0 || dt > UINT32_MAX) {
        dt = UINT32_MAX;
    } else if (overflow < 0 || dt < 1) {
        PyErr_Format(PyExc_ValueError, "dt: expected 1 or more ticks, got %S", number);
        dt = 0;
    }
    Py_DECREF(number);
    return (uint32_t)dt;
}

static int check_arguments(const char *name, Py_ssize_t count) {
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "%s() takes exactly 3 arguments (%zd given)", name, count);
        return -1;
    }
    return 0;
}

// A function as METH_FASTCALL and the like want it in a table.
#define METHOD(function) ((PyCFunction)(void (*)(void))(function))
