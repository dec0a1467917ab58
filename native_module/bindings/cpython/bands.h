// SPDX-License-Identifier: MIT
// `ulnn.bands` of the CPython extension (SPEC section 5): a part of ulnn_cpython.c.
#include "arguments.h"

#include "../../core/ulnn_bands.h"

typedef struct {
    PyObject_HEAD ulnn_bands_t *bands; // a block of its own
} BandsObject;

// As get_values; the core reads these buffers as what they are.
static int get_aligned(PyObject *object, Py_buffer *view, int flags, const char *name) {
    if (get_values(object, view, flags, name) < 0) {
        return -1;
    }
    if (((uintptr_t)view->buf & 1) != 0) {
        PyBuffer_Release(view);
        PyErr_Format(PyExc_ValueError, "%s: expected values at an even address", name);
        return -1;
    }
    return 0;
}

static PyObject *bands_feed(BandsObject *self, PyObject *const *args, Py_ssize_t count) {
    Py_buffer x;
    if (check_arguments("feed", count) < 0 || get_aligned(args[0], &x, PyBUF_SIMPLE, "x") < 0) {
        return NULL;
    }
    const Py_ssize_t first = PyNumber_AsSsize_t(args[1], PyExc_OverflowError);
    const Py_ssize_t samples =
        PyErr_Occurred() ? 0 : PyNumber_AsSsize_t(args[2], PyExc_OverflowError);
    const size_t channels = (size_t)self->bands->channels;
    const size_t start = (size_t)first * channels, values = (size_t)samples * channels;
    if (PyErr_Occurred()) {
        // its text is the interpreter's
    } else if (((size_t)first | (size_t)samples) >> 24 != 0) {
        PyErr_SetString(PyExc_ValueError, "first, count: expected 0 to 16777215");
    } else if (start + values > (size_t)x.len / 2) {
        PyErr_Format(
            PyExc_ValueError, "x: expected %zu values, got %zu", start + values, (size_t)x.len / 2);
    } else {
        ulnn_bands_feed(self->bands, (const int16_t *)x.buf + start, (size_t)samples);
    }
    PyBuffer_Release(&x);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *bands_read(BandsObject *self, PyObject *object) {
    Py_buffer y;
    if (get_aligned(object, &y, PyBUF_WRITABLE, "y") < 0) {
        return NULL;
    }
    const int good = check_length(&y, (size_t)self->bands->outputs, "y") == 0;
    if (good) {
        ulnn_bands_read(self->bands, y.buf);
    }
    PyBuffer_Release(&y);
    if (!good) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *bands_reset(BandsObject *self, PyObject *Py_UNUSED(unused)) {
    ulnn_bands_reset(self->bands);
    Py_RETURN_NONE;
}

static void bands_dealloc(BandsObject *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyMem_Free(self->bands);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

static PyMethodDef bands_methods[] = {
    {"feed", METHOD(bands_feed), METH_FASTCALL,
        "feed(x, first, count): takes samples from `first` on, int16 values of all channels."},
    {"read", METHOD(bands_read), METH_O,
        "read(y): the features of the last values, as int16 into y."},
    {"reset", METHOD(bands_reset), METH_NOARGS, "As if no sample had been there."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot bands_slots[] = {
    {Py_tp_doc, "One track of features at work. Made by ulnn.bands."},
    {Py_tp_dealloc, bands_dealloc},
    {Py_tp_methods, bands_methods},
    {0, NULL},
};

static PyType_Spec bands_spec = {
    .name = "ulnn.Bands",
    .basicsize = sizeof(BandsObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = bands_slots,
};

static PyObject *make_bands(PyTypeObject *type, PyObject *object) {
    Py_buffer track;
    if (get_aligned(object, &track, PyBUF_SIMPLE, "track") < 0) {
        return NULL;
    }
    BandsObject *self = NULL;
    const size_t words = (size_t)track.len / 2, need = ulnn_bands_size(track.buf, words);
    if (need == 0) {
        PyErr_SetString(PyExc_ValueError, "track: not supported");
    } else {
        self = (BandsObject *)PyType_GenericAlloc(type, 0);
    }
    if (self != NULL) {
        void *memory = PyMem_Malloc(need);
        if (memory == NULL) {
            Py_CLEAR(self);
            PyErr_NoMemory();
        } else {
            self->bands = ulnn_bands_make(track.buf, words, memory);
        }
    }
    PyBuffer_Release(&track);
    return (PyObject *)self;
}
