/* The interface between driftline and its plugins, version 1.1. C11 and C++17.
 *
 * Rules
 * - Every struct begins with struct_size, written by whoever fills it. Touch a member only if it lies wholly inside.
 * - Codes and flags are words; an unknown one is legal and means "other".
 * - Strings are UTF-8 with a length, not NUL-terminated, and borrowed for the call.
 * - Nobody frees the other's memory.
 * - No function lets a C++ exception out.
 * - A plugin exports one symbol: driftline_plugin_v1.
 */
#ifndef DRIFTLINE_PLUGIN_H
#define DRIFTLINE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DL_ABI_MAJOR 1u
#define DL_ABI_MINOR 1u

/* What a function returns. */
#define DL_OK 0u
#define DL_INVALID_ARGUMENT 1u
#define DL_INVALID_CONFIG 2u
#define DL_UNSUPPORTED 3u
#define DL_RESOURCE 4u
#define DL_IO 5u
#define DL_TIMEOUT 6u
#define DL_CANCELLED 7u
#define DL_PANICKED 8u
#define DL_INTERNAL 9u

/* DlComponent.kind */
#define DL_KIND_EMBEDDING 1u
#define DL_KIND_TRANSFORM 2u
#define DL_KIND_SINK 3u

/* part of DlSinkTable.publish */
#define DL_PART_BASELINE 0u
#define DL_PART_EVENTS 1u

/* DlError.flags */
#define DL_ERROR_RETRYABLE 1u
#define DL_ERROR_TRUNCATED 2u

/* DlComponent.capability_bits */
#define DL_CONCURRENT 1u    /* calls on one instance may run in parallel */
#define DL_IN_PLACE 2u      /* input and output may be the same memory */
#define DL_DETERMINISTIC 4u /* the same input gives the same bits */
#define DL_NEEDS_GPU 8u

/* DlPlugin.flags */
#define DL_PANIC_ABORT 1u
#define DL_OWN_ALLOCATOR 2u
#define DL_SPAWNS_THREADS 4u

/* DLPack's codes for what version 1 uses. */
#define DL_DTYPE_UINT 1u
#define DL_DTYPE_FLOAT 2u
#define DL_DEVICE_CPU 1

/* Levels of DlHost.log */
#define DL_LOG_ERROR 1u
#define DL_LOG_WARN 2u
#define DL_LOG_INFO 3u
#define DL_LOG_DEBUG 4u

typedef struct {
  const uint8_t *ptr; /* may be null when len is 0 */
  size_t len;
} DlStr;

/* The caller owns the buffer; the callee writes at most cap bytes of UTF-8 and sets code, flags and len. */
typedef struct {
  uint32_t struct_size;
  uint32_t code;
  uint32_t flags;
  uint32_t cap;
  uint8_t *text;
  uint32_t len;
} DlError;

/* Takes text of any length, in pieces that are whole UTF-8. */
typedef struct {
  uint32_t struct_size;
  void *ctx;
  void (*write)(void *ctx, DlStr piece);
} DlWriter;

/* A read-only tensor, valid during the call; version 1: CPU memory, contiguous, row-major. */
typedef struct {
  uint32_t struct_size;
  uint8_t dtype_code;
  uint8_t dtype_bits;
  uint16_t dtype_lanes;
  int32_t device_type;
  int32_t device_id;
  uint32_t ndim;
  const int64_t *shape;
  const int64_t *strides; /* in elements */
  const void *data;
} DlTensor;

/* The same, written by the callee. */
typedef struct {
  uint32_t struct_size;
  uint8_t dtype_code;
  uint8_t dtype_bits;
  uint16_t dtype_lanes;
  int32_t device_type;
  int32_t device_id;
  uint32_t ndim;
  const int64_t *shape;
  const int64_t *strides;
  void *data;
} DlTensorMut;

typedef struct {
  uint32_t struct_size;
  uint32_t flags;
  uint64_t batch_id; /* number of the call, for logs */
  uint64_t seed;     /* seed of the run */
  int64_t deadline_ns; /* monotonic; 0 is none */
  const uint64_t *rows; /* absolute row of each image in its source; may be null */
  uint64_t row_count;
} DlCall;

/* What the host offers; outlives every use of the plugin. */
typedef struct {
  uint32_t struct_size;
  uint32_t abi_minor;
  DlStr host_name;
  DlStr host_version;
  void *ctx;
  void (*log)(void *ctx, uint32_t level, DlStr target, DlStr message);
} DlHost;

/* One thing a plugin offers. */
typedef struct {
  uint32_t struct_size;
  uint32_t kind;
  DlStr name;
  DlStr version;
  DlStr summary;
  DlStr config_schema_json; /* JSON Schema 2020-12 */
  DlStr capabilities_json;  /* an object */
  uint64_t capability_bits;
  const void *vtable; /* the table of its kind */
} DlComponent;

typedef struct {
  uint32_t struct_size;
  uint32_t abi_minor;
  uint32_t flags;
  DlStr name;
  DlStr version;
  DlStr license; /* SPDX expression */
  DlStr target;  /* target triple */
  DlStr build_info;
  uint32_t component_count;
  uint32_t component_stride; /* sizeof(DlComponent) of the plugin */
  const DlComponent *components;
} DlPlugin;

typedef void *DlInstance;

/* What every table begins with. create, calls and destroy may come from different threads, one at a time for each
 * instance unless DL_CONCURRENT is declared. All functions but health and publish_labels are required. */
typedef struct {
  uint32_t struct_size;
  uint32_t (*validate)(DlStr config, DlError *err);
  uint32_t (*create)(DlStr config, DlInstance *instance, DlError *err);
  void (*destroy)(DlInstance instance);
  uint32_t (*health)(DlInstance instance, DlError *err);
} DlLeadingTable;

typedef struct {
  uint32_t struct_size;
  uint32_t (*validate)(DlStr config, DlError *err);
  uint32_t (*create)(DlStr config, DlInstance *instance, DlError *err);
  void (*destroy)(DlInstance instance);
  uint32_t (*health)(DlInstance instance, DlError *err);
  /* uint8 [N, H, W, 3] RGB to the same shape; depends on configuration, seed, row and image only. input and output
   * are the same memory only where DL_IN_PLACE is declared. */
  uint32_t (*apply)(DlInstance instance, const DlCall *call, const DlTensor *input, const DlTensorMut *output,
                    DlError *err);
  /* Writes the transform with all its parameters, as in "fog(severity=3)". */
  uint32_t (*describe)(DlInstance instance, const DlWriter *text, DlError *err);
} DlTransformTable;

typedef struct {
  uint32_t struct_size;
  uint32_t (*validate)(DlStr config, DlError *err);
  uint32_t (*create)(DlStr config, DlInstance *instance, DlError *err);
  void (*destroy)(DlInstance instance);
  uint32_t (*health)(DlInstance instance, DlError *err);
  uint64_t (*dim)(DlInstance instance);     /* length of an embedding */
  uint64_t (*classes)(DlInstance instance); /* 0 where there are no scores */
  /* Most images in one call (0: no limit), and how many it likes best (0: no matter). */
  uint32_t (*limits)(DlInstance instance, uint64_t *max_batch, uint64_t *preferred_batch, DlError *err);
  /* uint8 [N, H, W, 3] RGB to float32 [N, dim] and, where scores is not null, float32 [N, classes]. Every element is
   * written and finite, or the call fails. */
  uint32_t (*embed)(DlInstance instance, const DlCall *call, const DlTensor *images, const DlTensorMut *embeddings,
                    const DlTensorMut *scores, DlError *err);
  /* Writes a JSON object: engine, device, precision, threads, height, width, classes (names),
   * and optionally notes (lines that a user is told at the start). */
  uint32_t (*describe)(DlInstance instance, const DlWriter *text, DlError *err);
} DlEmbeddingTable;

typedef struct {
  uint32_t struct_size;
  uint32_t (*validate)(DlStr config, DlError *err);
  uint32_t (*create)(DlStr config, DlInstance *instance, DlError *err);
  void (*destroy)(DlInstance instance);
  uint32_t (*health)(DlInstance instance, DlError *err);
  /* Called once, right after create: what rows belong to, as JSON. */
  uint32_t (*prepare)(DlInstance instance, DlStr monitor, DlError *err);
  /* schema and array are a struct ArrowSchema and a struct ArrowArray of the Arrow C data interface, moved in.
   * The columns are those of driftline's rows, in one struct array. accepted + duplicates are the rows. */
  uint32_t (*publish)(DlInstance instance, const DlCall *call, uint32_t part, void *schema, void *array,
                      uint64_t *accepted, uint64_t *duplicates, DlError *err);
  uint32_t (*flush)(DlInstance instance, const DlCall *call, DlError *err);
  /* Writes where the rows end up. */
  uint32_t (*describe)(DlInstance instance, const DlWriter *text, DlError *err);
  /* Since 1.1; null where events cannot be changed. Gives count events, by their ids, their true class. accepted +
   * duplicates are the labels; a label is a duplicate where the event has it already or is not there. */
  uint32_t (*publish_labels)(DlInstance instance, const DlCall *call, const DlStr *event_ids, const DlStr *targets,
                             uint64_t count, uint64_t *accepted, uint64_t *duplicates, DlError *err);
} DlSinkTable;

/* The only exported symbol. Allocates nothing, starts nothing, reads no files. Null: err says why. */
#if defined(_WIN32)
#define DL_EXPORT __declspec(dllexport)
#else
#define DL_EXPORT __attribute__((visibility("default")))
#endif
DL_EXPORT const DlPlugin *driftline_plugin_v1(const DlHost *host, DlError *err);

#if UINTPTR_MAX == 0xffffffffffffffffu
#ifdef __cplusplus
#define DL_ASSERT(condition) static_assert(condition, #condition)
#else
#define DL_ASSERT(condition) _Static_assert(condition, #condition)
#endif
#define DL_SIZE(type, size) DL_ASSERT(sizeof(type) == (size))
#define DL_OFFSET(type, member, offset) DL_ASSERT(offsetof(type, member) == (offset))
/* layout: begin */
DL_SIZE(DlStr, 16);
DL_OFFSET(DlStr, ptr, 0);
DL_OFFSET(DlStr, len, 8);
DL_SIZE(DlError, 32);
DL_OFFSET(DlError, struct_size, 0);
DL_OFFSET(DlError, code, 4);
DL_OFFSET(DlError, flags, 8);
DL_OFFSET(DlError, cap, 12);
DL_OFFSET(DlError, text, 16);
DL_OFFSET(DlError, len, 24);
DL_SIZE(DlWriter, 24);
DL_OFFSET(DlWriter, struct_size, 0);
DL_OFFSET(DlWriter, ctx, 8);
DL_OFFSET(DlWriter, write, 16);
DL_SIZE(DlTensor, 48);
DL_OFFSET(DlTensor, struct_size, 0);
DL_OFFSET(DlTensor, dtype_code, 4);
DL_OFFSET(DlTensor, dtype_bits, 5);
DL_OFFSET(DlTensor, dtype_lanes, 6);
DL_OFFSET(DlTensor, device_type, 8);
DL_OFFSET(DlTensor, device_id, 12);
DL_OFFSET(DlTensor, ndim, 16);
DL_OFFSET(DlTensor, shape, 24);
DL_OFFSET(DlTensor, strides, 32);
DL_OFFSET(DlTensor, data, 40);
DL_SIZE(DlTensorMut, 48);
DL_OFFSET(DlTensorMut, struct_size, 0);
DL_OFFSET(DlTensorMut, dtype_code, 4);
DL_OFFSET(DlTensorMut, dtype_bits, 5);
DL_OFFSET(DlTensorMut, dtype_lanes, 6);
DL_OFFSET(DlTensorMut, device_type, 8);
DL_OFFSET(DlTensorMut, device_id, 12);
DL_OFFSET(DlTensorMut, ndim, 16);
DL_OFFSET(DlTensorMut, shape, 24);
DL_OFFSET(DlTensorMut, strides, 32);
DL_OFFSET(DlTensorMut, data, 40);
DL_SIZE(DlCall, 48);
DL_OFFSET(DlCall, struct_size, 0);
DL_OFFSET(DlCall, flags, 4);
DL_OFFSET(DlCall, batch_id, 8);
DL_OFFSET(DlCall, seed, 16);
DL_OFFSET(DlCall, deadline_ns, 24);
DL_OFFSET(DlCall, rows, 32);
DL_OFFSET(DlCall, row_count, 40);
DL_SIZE(DlHost, 56);
DL_OFFSET(DlHost, struct_size, 0);
DL_OFFSET(DlHost, abi_minor, 4);
DL_OFFSET(DlHost, host_name, 8);
DL_OFFSET(DlHost, host_version, 24);
DL_OFFSET(DlHost, ctx, 40);
DL_OFFSET(DlHost, log, 48);
DL_SIZE(DlComponent, 104);
DL_OFFSET(DlComponent, struct_size, 0);
DL_OFFSET(DlComponent, kind, 4);
DL_OFFSET(DlComponent, name, 8);
DL_OFFSET(DlComponent, version, 24);
DL_OFFSET(DlComponent, summary, 40);
DL_OFFSET(DlComponent, config_schema_json, 56);
DL_OFFSET(DlComponent, capabilities_json, 72);
DL_OFFSET(DlComponent, capability_bits, 88);
DL_OFFSET(DlComponent, vtable, 96);
DL_SIZE(DlPlugin, 112);
DL_OFFSET(DlPlugin, struct_size, 0);
DL_OFFSET(DlPlugin, abi_minor, 4);
DL_OFFSET(DlPlugin, flags, 8);
DL_OFFSET(DlPlugin, name, 16);
DL_OFFSET(DlPlugin, version, 32);
DL_OFFSET(DlPlugin, license, 48);
DL_OFFSET(DlPlugin, target, 64);
DL_OFFSET(DlPlugin, build_info, 80);
DL_OFFSET(DlPlugin, component_count, 96);
DL_OFFSET(DlPlugin, component_stride, 100);
DL_OFFSET(DlPlugin, components, 104);
DL_SIZE(DlLeadingTable, 40);
DL_OFFSET(DlLeadingTable, struct_size, 0);
DL_OFFSET(DlLeadingTable, validate, 8);
DL_OFFSET(DlLeadingTable, create, 16);
DL_OFFSET(DlLeadingTable, destroy, 24);
DL_OFFSET(DlLeadingTable, health, 32);
DL_SIZE(DlTransformTable, 56);
DL_OFFSET(DlTransformTable, struct_size, 0);
DL_OFFSET(DlTransformTable, validate, 8);
DL_OFFSET(DlTransformTable, create, 16);
DL_OFFSET(DlTransformTable, destroy, 24);
DL_OFFSET(DlTransformTable, health, 32);
DL_OFFSET(DlTransformTable, apply, 40);
DL_OFFSET(DlTransformTable, describe, 48);
DL_SIZE(DlEmbeddingTable, 80);
DL_OFFSET(DlEmbeddingTable, struct_size, 0);
DL_OFFSET(DlEmbeddingTable, validate, 8);
DL_OFFSET(DlEmbeddingTable, create, 16);
DL_OFFSET(DlEmbeddingTable, destroy, 24);
DL_OFFSET(DlEmbeddingTable, health, 32);
DL_OFFSET(DlEmbeddingTable, dim, 40);
DL_OFFSET(DlEmbeddingTable, classes, 48);
DL_OFFSET(DlEmbeddingTable, limits, 56);
DL_OFFSET(DlEmbeddingTable, embed, 64);
DL_OFFSET(DlEmbeddingTable, describe, 72);
DL_SIZE(DlSinkTable, 80);
DL_OFFSET(DlSinkTable, struct_size, 0);
DL_OFFSET(DlSinkTable, validate, 8);
DL_OFFSET(DlSinkTable, create, 16);
DL_OFFSET(DlSinkTable, destroy, 24);
DL_OFFSET(DlSinkTable, health, 32);
DL_OFFSET(DlSinkTable, prepare, 40);
DL_OFFSET(DlSinkTable, publish, 48);
DL_OFFSET(DlSinkTable, flush, 56);
DL_OFFSET(DlSinkTable, describe, 64);
DL_OFFSET(DlSinkTable, publish_labels, 72);
/* layout: end */
#endif

#ifdef __cplusplus
}
#endif

#endif
