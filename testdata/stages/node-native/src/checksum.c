#include <node_api.h>
#include <string.h>
#include <zlib.h>

static napi_value sum(napi_env env, napi_callback_info info) {
  napi_value arg, out;
  size_t argc = 1, n = 0;
  char text[256];
  napi_get_cb_info(env, info, &argc, &arg, NULL, NULL);
  napi_get_value_string_utf8(env, arg, text, sizeof text, &n);
  napi_create_uint32(env, crc32(0, (const Bytef *)text, n), &out);
  return out;
}

static napi_value init(napi_env env, napi_value exports) {
  napi_value f;
  napi_create_function(env, "sum", NAPI_AUTO_LENGTH, sum, NULL, &f);
  napi_set_named_property(env, exports, "sum", f);
  return exports;
}

NAPI_MODULE(checksum, init)
