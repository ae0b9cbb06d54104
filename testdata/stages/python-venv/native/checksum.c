#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <zlib.h>

static PyObject *crc(PyObject *self, PyObject *args) {
  const char *data;
  Py_ssize_t n;
  if (!PyArg_ParseTuple(args, "y#", &data, &n)) return NULL;
  return PyLong_FromUnsignedLong(crc32(0, (const Bytef *)data, n));
}

static PyMethodDef methods[] = {{"crc", crc, METH_VARARGS, "CRC-32 of bytes."}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "checksum", NULL, -1, methods};
PyMODINIT_FUNC PyInit_checksum(void) { return PyModule_Create(&module); }
