#include "model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *nnm_version(void) { return NNM_VERSION; }
void nnm_free(void *memory) { free(memory); }

/* The last part of a path; slashes at its end are cut off, for a folder may be written with one. */
static const char *base_name(char *path) {
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') path[--length] = '\0';
  const char *slash = strrchr(path, '/');
  return slash && slash[1] ? slash + 1 : path;
}

static nnm_status read_model(nnm_model *model, const void *data, size_t size, const char *format, nnm_error *error) {
  NNM_TRY(nnm_find_reader(format, data, size, &model->reader, error));
  return model->reader->read(data, size, &model->graph, &model->ir, error);
}

static nnm_status open_model(const char *path, const char *format, const nnm_mapped_file *file, const void *data,
                             size_t size, nnm_model **out, nnm_error *error) {
  nnm_model *model = calloc(1, sizeof *model);
  char *path_copy = model ? strdup(path) : NULL;
  if (!path_copy) {
    free(model);
    return nnm_fail_memory(error);
  }
  model->path = path_copy;
  model->name = (char *)(uintptr_t)base_name(path_copy);
  nnm_status status = read_model(model, data, size, format, error);
  if (status != NNM_OK) {
    nnm_model_free(model);
    return nnm_fail_in_file(error, status, path);
  }
  if (file) model->file = *file;
  *out = model;
  return NNM_OK;
}

/* A TensorFlow SavedModel is a folder; what is read is the graph in it. malloc'ed; NULL: path is none such. */
static char *saved_model_in(const char *path) {
  static const char name[] = "/saved_model.pb";
  struct stat info;
  if (stat(path, &info) || !S_ISDIR(info.st_mode)) return NULL;
  char *file = malloc(strlen(path) + sizeof name);
  if (!file) return NULL;
  strcpy(file, path);
  strcat(file, name);
  if (!stat(file, &info)) return file;
  free(file);
  return NULL;
}

static nnm_status map_model(const char *path, nnm_mapped_file *out, nnm_error *error) {
  char *inside = saved_model_in(path);
  nnm_status status = nnm_map_file(inside ? inside : path, out, error);
  free(inside);
  return status;
}

nnm_status nnm_model_detect_format(const char *path, const char **out, nnm_error *error) {
  nnm_mapped_file file;
  const nnm_reader *reader = NULL;
  NNM_TRY(map_model(path, &file, error));
  nnm_status status = nnm_find_reader(NULL, file.data, file.size, &reader, error);
  if (status == NNM_OK) *out = reader->name;
  nnm_unmap_file(&file);
  return nnm_fail_in_file(error, status, path);
}

nnm_status nnm_model_read_file(const char *path, const char *format, nnm_model **out, nnm_error *error) {
  nnm_mapped_file file;
  NNM_TRY(map_model(path, &file, error));
  nnm_status status = open_model(path, format, &file, file.data, file.size, out, error);
  if (status != NNM_OK) nnm_unmap_file(&file);
  return status;
}

nnm_status nnm_model_read_memory(const void *data, size_t size, const char *name, const char *format, nnm_model **out,
                                 nnm_error *error) {
  return open_model(name, format, NULL, data, size, out, error);
}

nnm_status nnm_model_read_torchvision(const char *name, nnm_model **out, nnm_error *error) {
  const nnm_torchvision_graph *network = nnm_find_torchvision(name, error);
  unsigned char *bytes;
  if (!network) return NNM_ERROR_NOT_FOUND;
  NNM_TRY(nnm_fail_in_file(error, nnm_unpack_torchvision(network, &bytes, error), network->name));
  nnm_status status = open_model(network->name, "onnx", NULL, bytes, network->size, out, error);
  if (status != NNM_OK) {
    free(bytes);
    return status;
  }
  (*out)->unpacked = bytes;
  (*out)->network = network;
  return NNM_OK;
}

void nnm_model_free(nnm_model *model) {
  if (!model) return;
  nnm_shapes_free(model->shapes);
  nnm_graph_free(model->graph);
  nnm_ir_free(model->ir);
  nnm_unmap_file(&model->file);
  free(model->unpacked);
  free(model->path);
  free(model);
}

const char *nnm_model_name(const nnm_model *model) { return model->name; }
const char *nnm_model_format(const nnm_model *model) { return model->reader->name; }

nnm_status nnm_model_infer_shapes(nnm_model *model, const nnm_shape_options *options, nnm_error *error) {
  nnm_shapes_free(model->shapes);
  model->shapes = NULL;
  /* a network of torchvision knows its size where the graph leaves it open */
  int64_t dims[NNM_TORCHVISION_RANK];
  nnm_input_shape own = {.dims = dims};
  nnm_shape_options completed = {.input_shapes = &own, .input_shape_count = 1};
  if (model->network && model->network->rank && !(options && options->input_shape_count)) {
    own.rank = model->network->rank;
    memcpy(dims, model->network->dims, own.rank * sizeof *dims);
    if (options && options->batch_size) dims[0] = completed.batch_size = options->batch_size;
    options = &completed;
  }
  nnm_status status = nnm_infer_graph_shapes(model->graph, options, &model->shapes, error);
  return nnm_fail_in_file(error, status, model->path);
}

nnm_status nnm_model_to_ir(const nnm_model *model, char **out, nnm_error *error) {
  if (!model->shapes)
    return nnm_fail(error, NNM_ERROR_ARGUMENT, NULL, "shapes are not inferred yet; call nnm_model_infer_shapes first");
  nnm_ir *ir = model->ir;
  if (!ir)
    NNM_TRY(
        nnm_fail_in_file(error, nnm_ir_from_graph(model->graph, model->shapes, NNM_IR_NAMED, &ir, error), model->path));
  nnm_status status = nnm_ir_print(ir, out, error);
  if (ir != model->ir) nnm_ir_free(ir);
  return nnm_fail_in_file(error, status, model->path);
}
