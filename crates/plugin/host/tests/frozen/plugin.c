/* A plugin as it was when version 1.0 of the interface was the newest; with NEWER, one of a later minor version, whose
 * structs have grown at their ends. */
#include <string.h>

#include "driftline_plugin_1_0.h"

#define TEXT(text) {(const uint8_t *)(text), sizeof(text) - 1}

static uint32_t validate(DlStr config, DlError *err) {
  (void)config, (void)err;
  return DL_OK;
}

static uint32_t create(DlStr config, DlInstance *instance, DlError *err) {
  static int something;
  (void)config, (void)err;
  *instance = &something;
  return DL_OK;
}

static void destroy(DlInstance instance) { (void)instance; }

static uint32_t apply(DlInstance instance, const DlCall *call, const DlTensor *input, const DlTensorMut *output,
                      DlError *err) {
  (void)instance, (void)err;
  if (call->struct_size < sizeof(DlCall) || input->struct_size < sizeof(DlTensor)) return DL_INTERNAL;
  const uint8_t *from = input->data;
  uint8_t *to = output->data;
  int64_t bytes = input->shape[0] * input->strides[0];
  for (int64_t i = 0; i < bytes; i++) to[i] = (uint8_t)(255 - from[i]);
  return DL_OK;
}

static uint32_t describe(DlInstance instance, const DlWriter *text, DlError *err) {
  (void)instance, (void)err;
  const DlStr piece = TEXT("frozen");
  text->write(text->ctx, piece);
  return DL_OK;
}

#ifdef NEWER
typedef struct {
  DlTransformTable table;
  void (*unknown)(void);
} Table;
typedef struct {
  DlComponent component;
  uint64_t unknown[3];
} Component;
typedef struct {
  DlPlugin plugin;
  uint64_t unknown;
} Plugin;
#define MINOR 9
#define UNKNOWN_FLAG 0x80000000u
#else
typedef struct {
  DlTransformTable table;
} Table;
typedef struct {
  DlComponent component;
} Component;
typedef struct {
  DlPlugin plugin;
} Plugin;
#define MINOR 0
#define UNKNOWN_FLAG 0u
#endif

static const Table TABLE = {
    .table = {.struct_size = sizeof(Table),
              .validate = validate,
              .create = create,
              .destroy = destroy,
              .apply = apply,
              .describe = describe},
};

static const Component COMPONENTS[] = {
#ifdef NEWER
    {.component = {.struct_size = sizeof(Component),
                   .kind = 99,
                   .name = TEXT("of a kind that came later"),
                   .capabilities_json = TEXT("{}"),
                   .vtable = &TABLE}},
#endif
    {.component = {.struct_size = sizeof(Component),
                   .kind = DL_KIND_TRANSFORM,
                   .name = TEXT("frozen"),
                   .version = TEXT("1.0.0"),
                   .summary = TEXT("the negative of the image"),
                   .capabilities_json = TEXT("{}"),
                   .capability_bits = DL_CONCURRENT | DL_DETERMINISTIC | ((uint64_t)UNKNOWN_FLAG << 32),
                   .vtable = &TABLE}},
};

static const Plugin PLUGIN = {
    .plugin = {.struct_size = sizeof(Plugin),
               .abi_minor = MINOR,
               .flags = UNKNOWN_FLAG,
               .name = TEXT("frozen"),
               .version = TEXT("1.0.0"),
               .component_count = sizeof(COMPONENTS) / sizeof(COMPONENTS[0]),
               .component_stride = sizeof(Component),
               .components = &COMPONENTS[0].component},
};

const DlPlugin *driftline_plugin_v1(const DlHost *host, DlError *err) {
  (void)err;
  return host->struct_size >= sizeof(DlHost) ? &PLUGIN.plugin : NULL;
}
