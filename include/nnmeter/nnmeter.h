/* nn-Meter: predicts how long a neural network takes on an edge device, without the device.
 *
 * The one public header of libnnmeter. Data flows one way:
 *   nnm_model_read_file -> nnm_model_infer_shapes -> nnm_predict -> nnm_prediction (milliseconds).
 *
 * Conventions
 *   - Every fallible call returns an nnm_status and takes an optional nnm_error (may be NULL) that it fills on failure
 *     only. On failure out-parameters are left untouched; the caller keeps what it owned.
 *   - "out" parameters hand ownership to the caller, who frees with the matching nnm_..._free (NULL is fine).
 *     A returned `const` pointer is borrowed and lives as long as the object it came from.
 *   - Latencies are in milliseconds (ms), sizes in bytes, shapes in elements. Imported predictors that were trained on
 *     another unit keep that unit.
 *   - Threads: distinct objects may be used from distinct threads. An nnm_predictor is immutable once opened and may be
 *     shared by any number of threads; an nnm_model may be shared once nnm_model_infer_shapes has returned.
 *   - The library never prints, never exits, never aborts, executes nothing that a file contains, and keeps no global
 *     state. */
#ifndef NNMETER_NNMETER_H
#define NNMETER_NNMETER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define NNM_API __attribute__((visibility("default")))
#else
#define NNM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------- errors */

typedef enum nnm_status {
  NNM_OK = 0,
  NNM_ERROR_MEMORY,      /* an allocation failed */
  NNM_ERROR_IO,          /* a file could not be opened, read or written */
  NNM_ERROR_FORMAT,      /* the file is not what it claims to be, or is damaged */
  NNM_ERROR_LIMIT,       /* the file asks for more than src/base/limits.h allows */
  NNM_ERROR_GRAPH,       /* the graph contradicts itself: dangling name, cycle, duplicate */
  NNM_ERROR_SHAPE,       /* a tensor shape is unknown or impossible */
  NNM_ERROR_UNSUPPORTED, /* understood, but not something this version does */
  NNM_ERROR_NOT_FOUND,   /* no predictor, format or file of that name */
  NNM_ERROR_ARGUMENT     /* the caller asked for something meaningless */
} nnm_status;

enum { NNM_ERROR_FILE_SIZE = 512, NNM_ERROR_PLACE_SIZE = 256, NNM_ERROR_MESSAGE_SIZE = 768 };

/* What went wrong, where, and what to do about it. Every text is NUL-terminated, printable and on one line. */
typedef struct nnm_error {
  nnm_status status;
  char file[NNM_ERROR_FILE_SIZE];       /* path or model name, "" when there is none */
  char place[NNM_ERROR_PLACE_SIZE];     /* node, tensor, JSON path or "byte N"; "" when there is none */
  char message[NNM_ERROR_MESSAGE_SIZE]; /* the fault, then the remedy when there is one */
} nnm_error;

/* Writes "file: place: message" into buffer (always NUL-terminated when size > 0), leaving out what is empty. */
NNM_API void nnm_error_text(const nnm_error *error, char *buffer, size_t size);

/* "2.1.0" */
NNM_API const char *nnm_version(void);

/* ---------------------------------------------------------------- models */

typedef struct nnm_model nnm_model;

/* Formats this build reads, NULL-terminated: "onnx", "tensorflow", "tflite", "nnmeter-ir", "benchmark", "nni-ir". */
NNM_API const char *const *nnm_formats(void);

/* The format of a model file, one of nnm_formats(), told from its content (of a TensorFlow SavedModel's folder from what
 * lies in it). Only the beginning is looked at, so reading it may still fail. NNM_ERROR_FORMAT: it is no model. */
NNM_API nnm_status nnm_model_detect_format(const char *path, const char **out, nnm_error *error);

/* Reads the structure of a model file; weights are skipped in place. A folder that holds a saved_model.pb is a
 * TensorFlow SavedModel. format: one of nnm_formats(), or NULL to tell it from the content (never from the extension). */
NNM_API nnm_status nnm_model_read_file(const char *path, const char *format, nnm_model **out, nnm_error *error);

/* The same from memory. The bytes are borrowed: they must outlive the model. name stands in for the path in messages. */
NNM_API nnm_status nnm_model_read_memory(const void *data, size_t size, const char *name, const char *format,
                                         nnm_model **out, nnm_error *error);

/* One of torchvision's networks, by its name there ("resnet18", in any case), from the graphs that the library carries:
 * no file, no torch. The name is the model's name, "onnx" its format. Its input has the size at which torchvision gives the
 * network's figures, 1x3x224x224 for most, unless nnm_model_infer_shapes is told another; where the network allows no
 * other size that is an error. NNM_ERROR_NOT_FOUND proposes similar names. */
NNM_API nnm_status nnm_model_read_torchvision(const char *name, nnm_model **out, nnm_error *error);

/* The names it takes, sorted, NULL-terminated. */
NNM_API const char *const *nnm_torchvision_names(void);

NNM_API void nnm_model_free(nnm_model *model);
NNM_API const char *nnm_model_name(const nnm_model *model);   /* base name of the file */
NNM_API const char *nnm_model_format(const nnm_model *model); /* one of nnm_formats() */

typedef struct nnm_input_shape {
  const char *name; /* of the model input; "" or NULL: the only input that needs one */
  size_t rank;
  const int64_t *dims; /* elements, each >= 1 */
} nnm_input_shape;

typedef struct nnm_shape_options {
  int64_t batch_size; /* replaces the first dimension of every model input when symbolic; 0: not given */
  const nnm_input_shape *input_shapes;
  size_t input_shape_count;
} nnm_shape_options;

/* Infers the shape of every tensor. options may be NULL. May be called again with other options; a failed call leaves
 * the model without shapes. Must have succeeded before nnm_predict. Not safe while another thread uses the model. */
NNM_API nnm_status nnm_model_infer_shapes(nnm_model *model, const nnm_shape_options *options, nnm_error *error);

/* ------------------------------------------------------------- predictors */

typedef struct nnm_predictor nnm_predictor;

typedef struct nnm_predictor_info {
  const char *name;    /* "cortexA76cpu_tflite21" */
  const char *version; /* "1.0" */
  const char *kind;    /* "network" (ours) or "forest" (imported from nn-Meter) */
  const char *origin;  /* "built in", or the file it is in */
  const char *card;    /* one-paragraph description: device, data, accuracy, unit; "" when unknown */
} nnm_predictor_info;

typedef struct nnm_predictor_list nnm_predictor_list;

/* Built-in predictors, then those that are registered or fetched under home, by name and version: predictor files, the
 * entries of nn-Meter 2.0's config/predictors.yaml, and fetched folders (docs/registry.md). What cannot be used is listed
 * with its fault as the card, "damaged" as its kind. home NULL, here and below: the first of NN_METER_HOME, ~/.nn_meter
 * where it is there, XDG_DATA_HOME/nn_meter where that is set, ~/.nn_meter. */
NNM_API nnm_status nnm_predictor_list_create(const char *home, nnm_predictor_list **out, nnm_error *error);
NNM_API size_t nnm_predictor_list_count(const nnm_predictor_list *list);
NNM_API const nnm_predictor_info *nnm_predictor_list_at(const nnm_predictor_list *list, size_t index);
NNM_API void nnm_predictor_list_free(nnm_predictor_list *list);

/* Opens by name (case-insensitive) and version ("1.0", or NULL for the newest). A path to a predictor file works too. */
NNM_API nnm_status nnm_predictor_open(const char *name, const char *version, const char *home, nnm_predictor **out,
                                      nnm_error *error);
NNM_API const nnm_predictor_info *nnm_predictor_get_info(const nnm_predictor *predictor);
NNM_API void nnm_predictor_free(nnm_predictor *predictor);

/* Registers under home what path describes: a YAML file as nn-Meter 2.0 takes it (name, version, package_location, ...),
 * whose predictor stays where it is, or a predictor file (.nnmeter), which is copied. It is opened once to see that it can
 * be used. A name and version can be registered once. *name_out (may be NULL) is its name; free with nnm_free. */
NNM_API nnm_status nnm_predictor_register(const char *path, const char *home, char **name_out, nnm_error *error);

/* Removes what is registered or imported as NAME: its entries in predictors.yaml and the files under home. version NULL:
 * all versions. Pickles, predictor files elsewhere, and folders that were fetched stay. NNM_ERROR_NOT_FOUND when nothing
 * has that name, NNM_ERROR_ARGUMENT when it is no predictor of the kind that can be removed. *removed_out (may be NULL):
 * how many were removed. */
NNM_API nnm_status nnm_predictor_unregister(const char *name, const char *version, const char *home,
                                            size_t *removed_out, nnm_error *error);

/* Reads a folder of nn-Meter 2.0's scikit-learn pickles (executing nothing) and its fusion_rules.json, and registers it
 * under home as NAME, version VERSION. On success *path_out (may be NULL) is the written file; free with nnm_free. */
NNM_API nnm_status nnm_predictor_import(const char *folder, const char *name, const char *version, const char *home,
                                        char **path_out, nnm_error *error);

typedef struct nnm_fetch_options {
  const char *url;    /* the file (.zip, .nnmeter), or what stands before /NAME.zip; NULL: the official place */
  const char *sha256; /* 64 hexadecimal digits that the file must have; NULL: the known one of NAME, if there is one */
  uint64_t size_limit_bytes; /* of the file; 0: 2 GiB */
  uint32_t timeout_s;        /* for connecting, and without data; 0: 30 */
  bool allow_http;           /* plain http, not only https; this machine itself may be asked by http in any case */
  /* Called now and then; NULL: never. total_bytes 0: not known. false stops. Must not call the library. */
  bool (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
  void *context;
} nnm_fetch_options;

typedef struct nnm_fetched {
  char *path;      /* the folder, or the predictor file; free with nnm_free */
  char sha256[65]; /* of what was downloaded; "" when nothing was, or it could not be computed */
  bool was_there;  /* nothing was downloaded */
} nnm_fetched;

/* Downloads the predictor NAME as a ZIP archive of nn-Meter 2.0's layout (pickles, fusion_rules.json) or a predictor file,
 * tries it, and puts it where nnm_predictor_open finds it. A folder that is there already is kept. On failure nothing is
 * left behind. options may be NULL. Needs libcurl and libzip when it runs; NNM_ERROR_UNSUPPORTED where they, or this part
 * of the build, are missing; once loaded they stay so. The one call of the library that uses the network. */
NNM_API nnm_status nnm_predictor_fetch(const char *name, const nnm_fetch_options *options, const char *home,
                                       nnm_fetched *out, nnm_error *error);

/* ------------------------------------------------------------- prediction */

typedef enum nnm_compat {
  NNM_COMPAT_DEFAULT =
      0, /* what the predictor was trained with: own rules for ours, nn-Meter 2.0's for imported ones */
  NNM_COMPAT_OWN,
  NNM_COMPAT_NN_METER_2_0 /* kernels and features as nn-Meter 2.0 makes them; see docs/differences.md */
} nnm_compat;

typedef struct nnm_predict_options {
  nnm_compat compat;
  const char *fusion_rules_path; /* overrides the predictor's own rules; NULL: keep them */
  const void *fusion_rules;      /* the same, what such a file holds; read during the call only. NULL: see the path */
  size_t fusion_rules_size;      /* bytes */
} nnm_predict_options;

typedef struct nnm_kernel_shape {
  size_t rank;
  const int64_t *dims; /* elements; channels last for images in nn-Meter's manner */
} nnm_kernel_shape;

typedef struct nnm_kernel_attribute {
  const char *name; /* "kernel_size", "stride", "input_channels", ... */
  int64_t value;
} nnm_kernel_attribute;

typedef struct nnm_kernel_result {
  const char *name; /* "conv-bn-relu#3": type and number within the model */
  const char *type; /* "conv-bn-relu" */
  double latency_ms;
  bool in_range;      /* inside what the predictor was trained on */
  bool has_predictor; /* false: nothing in the predictor speaks of this kernel, latency_ms is 0 */
  int64_t multiply_adds;
  size_t member_count;
  const char *const *members; /* node names as in the model file ("" for unnamed ones: "Conv:17") */
  size_t input_count;
  const nnm_kernel_shape *inputs;
  nnm_kernel_shape output;
  size_t attribute_count;
  const nnm_kernel_attribute *attributes;
} nnm_kernel_result;

typedef struct nnm_prediction {
  double latency_ms;
  double constant_ms; /* part of latency_ms that belongs to no kernel: the fixed cost of a run */
  /* Lower and upper bound: nine of ten measurements are expected between them, wider apart the more of the latency is
   * from kernels outside the training range. latency_ms is never outside. Both NaN when the predictor has no interval, as
   * imported ones have none. */
  double interval_ms[2];
  double coverage; /* 0..1: share of latency_ms that comes from kernels within the training range */
  size_t kernel_count;
  const nnm_kernel_result *kernels; /* in execution order */
  size_t note_count;
  const char *const *notes; /* everything guessed, extrapolated or left out, one line each; empty when all is well */
} nnm_prediction;

/* options may be NULL. Needs inferred shapes. */
NNM_API nnm_status nnm_predict(const nnm_predictor *predictor, const nnm_model *model,
                               const nnm_predict_options *options, nnm_prediction **out, nnm_error *error);
NNM_API void nnm_prediction_free(nnm_prediction *prediction);

/* ---------------------------------------------------------------- reports */

/* All return malloc'ed, NUL-terminated UTF-8 text in *out; free with nnm_free. */

/* Human-readable table of kernels with shares and bars. columns: terminal width, 0 for 100. */
NNM_API nnm_status nnm_report_table(const nnm_prediction *prediction, size_t columns, char **out, nnm_error *error);

/* "(nn-Meter) [RESULT] predict latency for NAME: X ms" and a newline: the line that scripts around nn-Meter look for. X is
 * the shortest decimal that reads back as the same double. */
NNM_API nnm_status nnm_report_line(const nnm_prediction *prediction, const nnm_model *model, char **out,
                                   nnm_error *error);

/* One result object of docs/json.md on one line, without a newline. */
NNM_API nnm_status nnm_report_json(const nnm_prediction *prediction, const nnm_model *model,
                                   const nnm_predictor *predictor, bool with_kernels, char **out, nnm_error *error);

/* One error object of docs/json.md on one line, without a newline. model: name of the model that failed. */
NNM_API nnm_status nnm_report_json_error(const char *model, const nnm_error *fault, char **out, nnm_error *error);

/* The rows of docs/json.md's CSV: one, or one per kernel; each ends in a newline. All NULL: the header row. */
NNM_API nnm_status nnm_report_csv(const nnm_prediction *prediction, const nnm_model *model,
                                  const nnm_predictor *predictor, bool with_kernels, char **out, nnm_error *error);

typedef enum nnm_stage { NNM_STAGE_GRAPH, NNM_STAGE_SHAPES, NNM_STAGE_KERNELS, NNM_STAGE_FEATURES } nnm_stage;

/* Prints one stage of a model. predictor gives the fusion rules (may be NULL for graph and shapes). */
NNM_API nnm_status nnm_inspect(const nnm_model *model, nnm_stage stage, const nnm_predictor *predictor,
                               const nnm_predict_options *options, bool as_json, char **out, nnm_error *error);

/* The nn-Meter IR of a model as JSON (indent 4, sorted keys), as nn-Meter 2.0's get_ir writes it. Needs shapes. */
NNM_API nnm_status nnm_model_to_ir(const nnm_model *model, char **out, nnm_error *error);

NNM_API void nnm_free(void *memory); /* frees texts handed out by this library */

/* ------------------------------------------------------------------ lists */

/* The operators, kernel types and fusion-rule names this build knows: NULL-terminated, for docs and completion. */
NNM_API const char *const *nnm_operator_names(void);
NNM_API const char *const *nnm_kernel_names(void);

#ifdef __cplusplus
}
#endif
#endif
