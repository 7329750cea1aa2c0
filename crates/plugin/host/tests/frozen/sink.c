/* A sink as it was when version 1.0 of the interface was the newest; with LABELS, one of version 1.1. It counts rows, and
 * fails where the host does not keep to the order of calls. */
#include <stdlib.h>
#include <string.h>

#ifdef LABELS
#include "driftline_plugin.h"
#else
#include "driftline_plugin_1_0.h"
#endif

#define TEXT(text) {(const uint8_t *)(text), sizeof(text) - 1}

typedef struct {
  int is_prepared;
} Sink;

static uint32_t validate(DlStr config, DlError *err) {
  (void)config, (void)err;
  return DL_OK;
}

static uint32_t create(DlStr config, DlInstance *instance, DlError *err) {
  (void)config, (void)err;
  *instance = calloc(1, sizeof(Sink));
  return *instance == NULL ? DL_RESOURCE : DL_OK;
}

static void destroy(DlInstance instance) { free(instance); }

static uint32_t prepare(DlInstance instance, DlStr monitor, DlError *err) {
  (void)err;
  Sink *sink = instance;
  if (sink->is_prepared || monitor.len < 2 || monitor.ptr[0] != '{') return DL_INVALID_ARGUMENT;
  sink->is_prepared = 1;
  return DL_OK;
}

static uint32_t publish(DlInstance instance, const DlCall *call, uint32_t part, void *schema, void *array,
                        uint64_t *accepted, uint64_t *duplicates, DlError *err) {
  (void)call, (void)part, (void)schema, (void)err;
  const Sink *sink = instance;
  if (!sink->is_prepared) return DL_INTERNAL;
  /* The first member of a struct ArrowArray is its length. */
  *accepted = (uint64_t)*(const int64_t *)array;
  *duplicates = 0;
  return DL_OK;
}

static uint32_t flush(DlInstance instance, const DlCall *call, DlError *err) {
  (void)call, (void)err;
  const Sink *sink = instance;
  return sink->is_prepared ? DL_OK : DL_INTERNAL;
}

static uint32_t describe(DlInstance instance, const DlWriter *text, DlError *err) {
  (void)instance, (void)err;
  const DlStr piece = TEXT("nowhere");
  text->write(text->ctx, piece);
  return DL_OK;
}

#ifdef LABELS
/* An event whose id is "known" gets its label; others are not there. */
static uint32_t publish_labels(DlInstance instance, const DlCall *call, const DlStr *event_ids, const DlStr *targets,
                               uint64_t count, uint64_t *accepted, uint64_t *duplicates, DlError *err) {
  (void)call, (void)err;
  const Sink *sink = instance;
  if (!sink->is_prepared) return DL_INTERNAL;
  *accepted = *duplicates = 0;
  for (uint64_t i = 0; i < count; i++) {
    if (targets[i].len != 3 || memcmp(targets[i].ptr, "cat", 3) != 0) return DL_INVALID_ARGUMENT;
    int is_known = event_ids[i].len == 5 && memcmp(event_ids[i].ptr, "known", 5) == 0;
    *(is_known ? accepted : duplicates) += 1;
  }
  return DL_OK;
}
#endif

static const DlSinkTable TABLE = {
    .struct_size = sizeof(DlSinkTable),
    .validate = validate,
    .create = create,
    .destroy = destroy,
    .prepare = prepare,
    .publish = publish,
    .flush = flush,
    .describe = describe,
#ifdef LABELS
    .publish_labels = publish_labels,
#endif
};

static const DlComponent COMPONENTS[] = {{
    .struct_size = sizeof(DlComponent),
    .kind = DL_KIND_SINK,
    .name = TEXT("frozen"),
    .version = TEXT("1.0.0"),
    .summary = TEXT("counts rows"),
    .capabilities_json = TEXT("{}"),
    .vtable = &TABLE,
}};

static const DlPlugin PLUGIN = {
    .struct_size = sizeof(DlPlugin),
    .abi_minor = DL_ABI_MINOR,
    .name = TEXT("frozen"),
    .version = TEXT("1.0.0"),
    .component_count = 1,
    .component_stride = sizeof(DlComponent),
    .components = COMPONENTS,
};

const DlPlugin *driftline_plugin_v1(const DlHost *host, DlError *err) {
  (void)host, (void)err;
  return &PLUGIN;
}
