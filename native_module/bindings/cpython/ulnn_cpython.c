// SPDX-License-Identifier: MIT
// The CPython extension `ulnn`: the engine with the interface of SPEC section 5.
//
// Same core, same texts and same numbers as the MicroPython binding (bindings/modulnn.c).
// run and self_test let other threads run and answer Ctrl-C; `busy` keeps those out of the model.
#include "arguments.h"
#include "bands.h"

#include "../../core/ulnn.h"

typedef struct {
    PyObject_HEAD ulnn_model_t *model; // in `memory`; NULL after garbage collection
    void *memory;
    void *copy;       // of the file, or NULL
    Py_buffer buffer; // of the file, when there is no copy: holds the exporter
    size_t ram;
    int in_place;
    int busy; // changed with the GIL held
} ModelObject;

typedef struct {
    PyObject *model_type;
    PyObject *bands_type;
} ModuleState;

// Multiply-accumulates between two looks for signals: about a millisecond.
#define CHUNK_MACS 1000000u

/******************************************************************************/
// Model

// Fails where the model must not be touched now.
static int check_free(const ModelObject *self) {
    if (self->model == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the model was taken apart by garbage collection");
        return -1;
    }
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "the model is in use by another run or self_test");
        return -1;
    }
    return 0;
}

// Steps between two looks for signals.
static size_t chunk_steps(const ModelObject *self) {
    // What a step costs beside its multiplications is about a hundred of them.
    return CHUNK_MACS / (ulnn_model_info(self->model)->macs + 100) + 1;
}

// Gets the int16 values of x and y, of `steps` steps.
static int get_x_y(ModelObject *self, PyObject *const *args, size_t steps, Py_buffer *x,
    Py_buffer *y, const char *x_name, const char *y_name) {
    if (check_free(self) < 0 || get_values(args[0], x, PyBUF_SIMPLE, x_name) < 0) {
        return -1;
    }
    const ulnn_info_t *info = ulnn_model_info(self->model);
    if (check_length(x, steps * info->input_size, x_name) == 0 &&
        get_values(args[1], y, PyBUF_WRITABLE, y_name) == 0) {
        if (check_length(y, steps * info->output_size, y_name) == 0) {
            return 0;
        }
        PyBuffer_Release(y);
    }
    PyBuffer_Release(x);
    return -1;
}

static PyObject *model_step(ModelObject *self, PyObject *const *args, Py_ssize_t count) {
    Py_buffer x, y;
    if (check_arguments("step", count) < 0 || get_x_y(self, args, 1, &x, &y, "x", "y") < 0) {
        return NULL;
    }
    uint32_t dt = get_dt(args[2]);
    int ready = dt != 0 && check_free(self) == 0;
    if (ready) {
        ulnn_step(self->model, x.buf, y.buf, dt);
    }
    PyBuffer_Release(&y);
    PyBuffer_Release(&x);
    if (!ready) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static uint32_t dt_at(const Py_buffer *dts, size_t k) {
    uint32_t dt;
    memcpy(&dt, (const char *)dts->buf + 4 * k, sizeof(dt));
    return dt;
}

// Steps through buffers that were checked. Other threads run meanwhile, and may write to them.
static int run_steps(
    ModelObject *self, const Py_buffer *xs, const Py_buffer *ys, const Py_buffer *dts) {
    const ulnn_info_t *info = ulnn_model_info(self->model);
    const size_t steps = (size_t)dts->len / 4, chunk = chunk_steps(self);
    int result = 0;
    self->busy = 1;
    for (size_t start = 0; start < steps && result == 0; start += chunk) {
        const size_t end = steps - start < chunk ? steps : start + chunk;
        PyThreadState *thread = PyEval_SaveThread();
        for (size_t k = start; k < end; k++) {
            const uint32_t dt = dt_at(dts, k);
            ulnn_step(self->model, (const char *)xs->buf + 2 * k * info->input_size,
                (char *)ys->buf + 2 * k * info->output_size, dt != 0 ? dt : 1);
        }
        PyEval_RestoreThread(thread);
        result = PyErr_CheckSignals();
    }
    self->busy = 0;
    return result;
}

static int run(ModelObject *self, PyObject *const *args, const Py_buffer *dts) {
    const char code = typecode(dts);
    if (dts->itemsize != 4 || code == 0 || strchr("iIlL", code) == NULL) {
        PyErr_SetString(PyExc_ValueError, "dts: expected 32-bit values (array 'I')");
        return -1;
    }
    const size_t steps = (size_t)dts->len / 4;
    const int is_signed = code == 'i' || code == 'l';
    Py_buffer xs, ys;
    if (get_x_y(self, args, steps, &xs, &ys, "xs", "ys") < 0) {
        return -1;
    }
    int result = 0;
    for (size_t k = 0; k < steps && result == 0; k++) {
        uint32_t dt = dt_at(dts, k);
        if (dt == 0 || (is_signed && dt > INT32_MAX)) {
            PyErr_Format(
                PyExc_ValueError, "dts: expected 1 or more ticks, got %d at step %zu", (int)dt, k);
            result = -1;
        }
    }
    if (result == 0) {
        result = check_free(self) == 0 ? run_steps(self, &xs, &ys, dts) : -1;
    }
    PyBuffer_Release(&ys);
    PyBuffer_Release(&xs);
    return result;
}

static PyObject *model_run(ModelObject *self, PyObject *const *args, Py_ssize_t count) {
    Py_buffer dts;
    if (check_arguments("run", count) < 0 ||
        get_buffer(args[2], &dts, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT) < 0) {
        return NULL;
    }
    int result = run(self, args, &dts);
    PyBuffer_Release(&dts);
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *model_reset(ModelObject *self, PyObject *Py_UNUSED(unused)) {
    if (check_free(self) < 0) {
        return NULL;
    }
    ulnn_reset(self->model);
    Py_RETURN_NONE;
}

static PyObject *model_self_test(ModelObject *self, PyObject *Py_UNUSED(unused)) {
    if (check_free(self) < 0) {
        return NULL;
    }
    const uint32_t steps = ulnn_model_info(self->model)->golden_steps;
    if (steps == 0) {
        return PyLong_FromLong(0);
    }
    const uint32_t chunk = (uint32_t)chunk_steps(self);
    uint32_t differs;
    int equal = 1, stopped = 0;
    self->busy = 1;
    ulnn_reset(self->model);
    for (uint32_t start = 0; start < steps && equal && !stopped; start += chunk) {
        const uint32_t count = steps - start < chunk ? steps - start : chunk;
        PyThreadState *thread = PyEval_SaveThread();
        equal = ulnn_self_test_part(self->model, start, count, &differs);
        PyEval_RestoreThread(thread);
        stopped = PyErr_CheckSignals() < 0;
    }
    ulnn_reset(self->model);
    self->busy = 0;
    if (stopped) {
        return NULL;
    }
    if (equal) {
        return PyLong_FromUnsignedLong(steps);
    }
    if (differs == ULNN_STATE_DIFFERS) {
        PyErr_SetString(PyExc_ValueError, "self test: state differs");
    } else {
        PyErr_Format(PyExc_ValueError, "self test: step %u differs", differs);
    }
    return NULL;
}

static PyObject *model_info(ModelObject *self, PyObject *Py_UNUSED(unused)) {
    if (check_free(self) < 0) {
        return NULL;
    }
    const ulnn_info_t *info = ulnn_model_info(self->model);
    char sha256[2 * sizeof(info->sha256) + 1];
    for (size_t i = 0; i < sizeof(info->sha256); i++) {
        sha256[2 * i] = "0123456789abcdef"[info->sha256[i] >> 4];
        sha256[2 * i + 1] = "0123456789abcdef"[info->sha256[i] & 15];
    }
    sha256[sizeof(sha256) - 1] = 0;
    char format[8];
    PyOS_snprintf(format, sizeof(format), "%d.%u", ULNN_FORMAT_MAJOR, info->format_minor);
    return Py_BuildValue("{ss ss ss sI ss ss sI sI sI sI sI sI sI sI sI sI sI sI sI sn sO}", //
        "format", format, "engine", "native", "kernel", ulnn_kernel_name(),                  //
        "model_version", info->model_version,                                                //
        "dialect", ulnn_dialect_name(info->dialect), "sha256", sha256,                       //
        "file_size", info->file_size,                                                        //
        "input_size", (unsigned)info->input_size,                                            //
        "output_size", (unsigned)info->output_size,                                          //
        "state_size", info->state_size, "layers", (unsigned)info->layers,                    //
        "neurons", (unsigned)info->neurons, "synapses", info->synapses,                      //
        "weight_bits", (unsigned)info->weight_bits, "macs", info->macs,                      //
        "tick_ns", info->tick_ns, "dt_max", info->dt_max,                                    //
        "dt_fixed", info->dt_fixed,                                                          //
        "golden_steps", info->golden_steps, "ram", (Py_ssize_t)self->ram,                    //
        "in_place", self->in_place ? Py_True : Py_False);
}

static PyObject *model_get_state(ModelObject *self, void *Py_UNUSED(closure)) {
    if (check_free(self) < 0) {
        return NULL;
    }
    Py_ssize_t bytes = 2 * (Py_ssize_t)ulnn_model_info(self->model)->state_size;
    PyObject *state = PyBytes_FromStringAndSize(NULL, bytes);
    if (state != NULL) {
        ulnn_state_get(self->model, PyBytes_AsString(state));
    }
    return state;
}

static int model_set_state(ModelObject *self, PyObject *value, void *Py_UNUSED(closure)) {
    if (value == NULL) {
        PyErr_SetString(PyExc_AttributeError, "state cannot be deleted");
        return -1;
    }
    Py_buffer view;
    if (check_free(self) < 0 || get_buffer(value, &view, PyBUF_C_CONTIGUOUS) < 0) {
        return -1;
    }
    size_t want = 2 * (size_t)ulnn_model_info(self->model)->state_size;
    int result = -1;
    if ((size_t)view.len != want) {
        PyErr_Format(
            PyExc_ValueError, "state: expected %zu bytes, got %zu", want, (size_t)view.len);
    } else if (check_free(self) == 0) {
        ulnn_state_set(self->model, view.buf);
        result = 0;
    }
    PyBuffer_Release(&view);
    return result;
}

static PyObject *model_get_clamped(ModelObject *self, void *Py_UNUSED(closure)) {
    return check_free(self) < 0 ? NULL : PyLong_FromUnsignedLong(ulnn_clamped(self->model));
}

static int model_traverse(ModelObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->buffer.obj);
    return 0;
}

static int model_clear(ModelObject *self) {
    self->model = NULL; // it may lie on the buffer
    if (self->buffer.obj != NULL) {
        PyBuffer_Release(&self->buffer);
    }
    return 0;
}

static void model_dealloc(ModelObject *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    model_clear(self);
    PyMem_Free(self->memory);
    PyMem_Free(self->copy);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

static PyMethodDef model_methods[] = {
    {"step", METHOD(model_step), METH_FASTCALL,
        "step(x, y, dt): one step; reads int16 values from x, writes to y. dt in ticks."},
    {"run", METHOD(model_run), METH_FASTCALL,
        "run(xs, ys, dts): len(dts) steps, one after the other in each buffer."},
    {"reset", METHOD(model_reset), METH_NOARGS, "State and counter of clamped steps to 0."},
    {"info", METHOD(model_info), METH_NOARGS, "What the model's file says, as a dict."},
    {"self_test", METHOD(model_self_test), METH_NOARGS,
        "Replays the golden vectors of the file; returns the number of steps."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef model_attributes[] = {
    {"state", (getter)model_get_state, (setter)model_set_state,
        "The state as bytes; can be assigned.", NULL},
    {"clamped", (getter)model_get_clamped, NULL, "Steps in which dt was clamped.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot model_slots[] = {
    {Py_tp_doc, "A loaded model. Made by ulnn.load."},
    {Py_tp_dealloc, model_dealloc},
    {Py_tp_traverse, model_traverse},
    {Py_tp_clear, model_clear},
    {Py_tp_methods, model_methods},
    {Py_tp_getset, model_attributes},
    {0, NULL},
};

static PyType_Spec model_spec = {
    .name = "ulnn.Model",
    .basicsize = sizeof(ModelObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE |
             Py_TPFLAGS_HAVE_GC,
    .slots = model_slots,
};

/******************************************************************************/
// Module

// The contents of a file as bytes. Of a file that is too large, only its header: enough to say so.
static PyObject *read_file(PyObject *path, size_t *size) {
    PyObject *io = PyImport_ImportModule("io");
    PyObject *file = io == NULL ? NULL : PyObject_CallMethod(io, "open", "Os", path, "rb");
    Py_XDECREF(io);
    if (file == NULL) {
        return NULL;
    }
    PyObject *data = NULL;
    PyObject *end = PyObject_CallMethod(file, "seek", "ii", 0, 2);
    PyObject *start = end == NULL ? NULL : PyObject_CallMethod(file, "seek", "i", 0);
    *size = end == NULL ? (size_t)-1 : PyLong_AsSize_t(end);
    if (start != NULL && !PyErr_Occurred()) {
        data = PyObject_CallMethod(
            file, "read", "n", (Py_ssize_t)(*size > ULNN_FILE_MAX ? ULNN_HEADER_SIZE : *size));
    }
    Py_XDECREF(start);
    Py_XDECREF(end);
    PyObject *closed = data == NULL ? NULL : PyObject_CallMethod(file, "close", NULL);
    Py_DECREF(file);
    if (closed == NULL || !PyBytes_Check(data)) {
        Py_CLEAR(data);
    }
    Py_XDECREF(closed);
    if (data != NULL && *size <= ULNN_FILE_MAX) {
        *size = (size_t)PyBytes_Size(data);
    }
    return data;
}

static PyObject *raise_refused(const ulnn_error_t *error) {
    char text[ULNN_TEXT_MAX];
    ulnn_error_text(error, text);
    PyErr_SetString(PyExc_ValueError, text);
    return NULL;
}

// Fills a fresh object from the file in self->buffer, of which `size` bytes are said to be there.
static int fill_model(ModelObject *self, size_t size, int is_path) {
    const void *file = self->buffer.buf;
    const size_t need = ulnn_memory_size(file, size);
    self->in_place = !is_path;
    self->ram = need + (is_path ? size : 0);
    // What is refused anyway is not worth a copy.
    if (need != 0 && ((uintptr_t)file & (ULNN_FILE_ALIGN - 1)) != 0) {
        self->copy = PyMem_Malloc(size);
        if (self->copy == NULL) {
            PyErr_NoMemory();
            return -1;
        }
        memcpy(self->copy, file, size);
        PyBuffer_Release(&self->buffer);
        file = self->copy;
        self->in_place = 0;
        self->ram = need + size;
    }
    self->memory = PyMem_Malloc(need);
    if (self->memory == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    ulnn_error_t error;
    self->model = ulnn_load(file, size, self->memory, need, &error);
    if (self->model == NULL) {
        raise_refused(&error);
        return -1;
    }
    return 0;
}

static PyObject *module_load(PyObject *module, PyObject *source) {
    ModuleState *state = PyModule_GetState(module);
    PyTypeObject *type = (PyTypeObject *)state->model_type;
    int is_path = PyUnicode_Check(source);
    size_t size = 0;
    if (is_path) {
        source = read_file(source, &size);
        if (source == NULL) {
            return NULL;
        }
    } else {
        Py_INCREF(source);
    }
    ModelObject *self = (ModelObject *)PyType_GenericAlloc(type, 0);
    if (self != NULL) {
        if (get_buffer(source, &self->buffer, PyBUF_C_CONTIGUOUS) < 0) {
            self->buffer.obj = NULL;
            Py_CLEAR(self);
        } else if (fill_model(self, is_path ? size : (size_t)self->buffer.len, is_path) < 0) {
            Py_CLEAR(self);
        }
    }
    Py_DECREF(source);
    return (PyObject *)self;
}

static PyObject *module_bands(PyObject *module, PyObject *track) {
    ModuleState *state = PyModule_GetState(module);
    return make_bands((PyTypeObject *)state->bands_type, track);
}

static PyMethodDef module_methods[] = {
    {"load", module_load, METH_O,
        "load(source): a Model from a path (str) or a buffer that holds a .ulnn file."},
    {"bands", module_bands, METH_O,
        "bands(track): Bands for a track, int16 values: features of a stream of samples."},
    {NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *module) {
    ModuleState *state = PyModule_GetState(module);
    state->model_type = PyType_FromModuleAndSpec(module, &model_spec, NULL);
    if (state->model_type == NULL ||
        PyModule_AddType(module, (PyTypeObject *)state->model_type) < 0 ||
        PyModule_AddStringConstant(module, "__version__", ULNN_VERSION) < 0) {
        return -1;
    }
    state->bands_type = PyType_FromModuleAndSpec(module, &bands_spec, NULL);
    if (state->bands_type == NULL) {
        return -1;
    }
    return PyModule_AddStringConstant(module, "ENGINE", "native");
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    ModuleState *state = PyModule_GetState(module);
    Py_VISIT(state->model_type);
    Py_VISIT(state->bands_type);
    return 0;
}

static int module_clear(PyObject *module) {
    ModuleState *state = PyModule_GetState(module);
    Py_CLEAR(state->model_type);
    Py_CLEAR(state->bands_type);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {0, NULL},
};

static PyModuleDef module_definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ulnn",
    .m_doc = "Liquid (CfC) networks in integer arithmetic; see native_module/SPEC.md.",
    .m_size = sizeof(ModuleState),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC PyInit_ulnn(void);

PyMODINIT_FUNC PyInit_ulnn(void) {
    return PyModuleDef_Init(&module_definition);
}
