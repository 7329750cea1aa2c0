/* A drift transform as a plugin: invert_c(amount=0.5). */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driftline_plugin.h"

#define TEXT(text) {(const uint8_t *)(text), sizeof(text) - 1}

/* Every instance has its own table: what each value becomes. */
typedef struct {
  double amount;
  uint8_t table[256];
} Invert;

/* Writes text to err, as far as it has room, and returns code. */
static uint32_t fail(DlError *err, uint32_t code, const char *text) {
  if (err != NULL && err->struct_size >= sizeof(DlError)) {
    size_t length = strlen(text);
    err->code = code;
    err->flags = 0;
    if (length > err->cap) {
      length = err->cap;
      err->flags = DL_ERROR_TRUNCATED;
    }
    if (err->text != NULL) memcpy(err->text, text, length);
    err->len = (uint32_t)length;
  }
  return code;
}

/* The host has checked the configuration against the schema below: it is {} or {"amount": NUMBER}. */
static uint32_t read_amount(DlStr config, double *amount, DlError *err) {
  char text[256];
  if (config.len >= sizeof(text)) return fail(err, DL_INVALID_CONFIG, "the configuration is too long");
  memcpy(text, config.ptr, config.len);
  text[config.len] = '\0';
  const char *colon = strchr(text, ':');
  *amount = colon == NULL ? 1.0 : strtod(colon + 1, NULL);
  return DL_OK;
}

static uint32_t validate(DlStr config, DlError *err) {
  double amount;
  return read_amount(config, &amount, err);
}

static uint32_t create(DlStr config, DlInstance *instance, DlError *err) {
  double amount;
  uint32_t code = read_amount(config, &amount, err);
  if (code != DL_OK) return code;
  Invert *invert = malloc(sizeof(Invert));
  if (invert == NULL) return fail(err, DL_RESOURCE, "there is no memory left");
  invert->amount = amount;
  for (int value = 0; value < 256; value++) {
    float moved = (float)value + (float)amount * (255.0f - 2.0f * (float)value);
    invert->table[value] = (uint8_t)roundf(moved);
  }
  *instance = invert;
  return DL_OK;
}

static void destroy(DlInstance instance) { free(instance); }

static uint32_t apply(DlInstance instance, const DlCall *call, const DlTensor *input, const DlTensorMut *output,
                      DlError *err) {
  (void)call; /* A transform that draws numbers takes them from call->seed and call->rows[image] alone. */
  if (input->ndim != 4 || input->dtype_code != DL_DTYPE_UINT || input->dtype_bits != 8)
    return fail(err, DL_INVALID_ARGUMENT, "the images are not uint8 [N, H, W, 3]");
  size_t bytes = 1;
  for (uint32_t i = 0; i < 4; i++) bytes *= (size_t)input->shape[i];
  /* restrict: without it the compiler must assume that a byte it writes is one that it reads next. */
  const uint8_t *restrict table = ((const Invert *)instance)->table;
  const uint8_t *restrict from = input->data;
  uint8_t *restrict to = output->data;
  for (size_t i = 0; i < bytes; i++) to[i] = table[from[i]];
  return DL_OK;
}

static uint32_t describe(DlInstance instance, const DlWriter *text, DlError *err) {
  (void)err;
  char expression[64];
  /* As many digits as it takes to read the same number back. */
  int length = 0;
  for (int digits = 1; digits <= 17; digits++) {
    const double amount = ((const Invert *)instance)->amount;
    length = snprintf(expression, sizeof(expression), "invert_c(amount=%.*g)", digits, amount);
    if (strtod(strchr(expression, '=') + 1, NULL) == amount) break;
  }
  DlStr piece = {(const uint8_t *)expression, (size_t)length};
  text->write(text->ctx, piece);
  return DL_OK;
}

static const DlTransformTable TABLE = {
    .struct_size = sizeof(DlTransformTable),
    .validate = validate,
    .create = create,
    .destroy = destroy,
    .apply = apply,
    .describe = describe,
};

static const DlComponent COMPONENTS[] = {{
    .struct_size = sizeof(DlComponent),
    .kind = DL_KIND_TRANSFORM,
    .name = TEXT("invert_c"),
    .version = TEXT("0.1.0"),
    .summary = TEXT("towards the negative of the image; amount=1"),
    .config_schema_json = TEXT("{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
                               "\"amount\": {\"type\": \"number\", \"minimum\": 0, \"maximum\": 1, \"default\": 1}}}"),
    .capabilities_json = TEXT("{\"parameters\": [\"amount\"]}"),
    .capability_bits = DL_CONCURRENT | DL_DETERMINISTIC,
    .vtable = &TABLE,
}};

static const DlPlugin PLUGIN = {
    .struct_size = sizeof(DlPlugin),
    .abi_minor = DL_ABI_MINOR,
    .name = TEXT("driftline-template-c"),
    .version = TEXT("0.1.0"),
    .license = TEXT("MIT OR Apache-2.0"),
    .component_count = 1,
    .component_stride = sizeof(DlComponent),
    .components = COMPONENTS,
};

const DlPlugin *driftline_plugin_v1(const DlHost *host, DlError *err) {
  (void)host;
  (void)err;
  return &PLUGIN;
}
