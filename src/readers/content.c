#include "readers/content.h"

#include "readers/reader.h"

#include <string.h>

#define EXPORT_TORCH "export the model with torch.onnx.export and give the .onnx file"
#define EXPORT_TENSORFLOW "save the model as a TensorFlow SavedModel and give that folder"

typedef struct signature {
  size_t offset;
  const char *bytes;
  size_t size;
  const char *is, *remedy; /* "it is ...; do ..." */
} signature;

#define SIGNATURE(offset, bytes, looks_like, remedy) \
  { offset, bytes, sizeof(bytes) - 1, looks_like, remedy }

/* The first row that fits counts. */
static const signature signatures[] = {
    SIGNATURE(0, "version https://git-lfs", "looks like a Git LFS pointer, not the file itself", "run: git lfs pull"),
    SIGNATURE(0, "PK\x03\x04", "looks like a zip archive (a PyTorch .pt, Keras .keras or NumPy .npz file?)",
              "export the model to ONNX (torch.onnx.export, tf2onnx) and give the .onnx file"),
    SIGNATURE(4, "TFL3", "looks like a TensorFlow Lite model", "give it with --tflite, or as a file alone"),
    SIGNATURE(4, "ORTM", "looks like an ONNX Runtime .ort model", "give the .onnx file that it was made from"),
    SIGNATURE(0, "\x89HDF", "looks like an HDF5 file (Keras .h5?)", EXPORT_TENSORFLOW),
    SIGNATURE(0, "GGUF", "looks like a GGUF file, which holds weights but no graph",
              "give an ONNX export of the model"),
    SIGNATURE(0, "\x80\x02", "looks like a Python pickle (an old PyTorch file?)", EXPORT_TORCH),
    SIGNATURE(0, "\x80\x03", "looks like a Python pickle", EXPORT_TORCH),
    SIGNATURE(0, "\x80\x04", "looks like a Python pickle", EXPORT_TORCH),
    SIGNATURE(0, "\x80\x05", "looks like a Python pickle", EXPORT_TORCH),
    SIGNATURE(0, "\x93NUMPY", "looks like a NumPy array", "give the model, not its data"),
    SIGNATURE(0, "NNMETER", "looks like a predictor file", "give it with --predictor, and a model as the file"),
    SIGNATURE(0, "7767517", "looks like an ncnn model", "give the ONNX file that it was made from"),
    SIGNATURE(0, "\x1f\x8b", "is gzip-compressed", "unpack it first"),
    SIGNATURE(0,
              "\xfd"
              "7zXZ",
              "is xz-compressed", "unpack it first"),
    SIGNATURE(0, "BZh", "is bzip2-compressed", "unpack it first"),
    SIGNATURE(0, "\x28\xb5\x2f\xfd", "is zstd-compressed", "unpack it first"),
    SIGNATURE(0, "<?xml", "looks like XML (an OpenVINO model?)", "give the ONNX file that it was made from"),
    SIGNATURE(0, "<!DOCTYPE", "looks like a web page", "the download went wrong: fetch the file itself"),
    SIGNATURE(0, "<!doctype", "looks like a web page", "the download went wrong: fetch the file itself"),
    SIGNATURE(0, "<html", "looks like a web page", "the download went wrong: fetch the file itself"),
    SIGNATURE(0, "%PDF", "looks like a PDF document", "give a model file"),
    SIGNATURE(0, "\x89PNG", "looks like a PNG image", "give a model file"),
    SIGNATURE(0, "\xff\xd8\xff", "looks like a JPEG image", "give a model file"),
    SIGNATURE(0,
              "\x7f"
              "ELF",
              "looks like a program", "give a model file"),
    SIGNATURE(8, "{\"", "looks like a safetensors file, which holds weights but no graph",
              "give an ONNX export of the model"),
    SIGNATURE(0, "\x08\x01\x12", "looks like a Core ML model, or a TensorFlow SavedModel that is damaged",
              "fetch it again, or give the model that it was made from"),
};

static const signature *find_signature(const unsigned char *data, size_t size) {
  for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
    const signature *row = &signatures[i];
    if (size >= row->offset + row->size && !memcmp(data + row->offset, row->bytes, row->size)) return row;
  }
  return NULL;
}

enum { PROBED_BYTES = 4096 };

/* The first byte that is not white space; 0 at the end. */
static unsigned char first_byte(const unsigned char *data, size_t size) {
  for (size_t i = 0; i < size && i < PROBED_BYTES; i++)
    if (!strchr(" \t\r\n", data[i]) || !data[i]) return data[i];
  return 0;
}

static bool is_text(const unsigned char *data, size_t size) {
  for (size_t i = 0; i < size && i < 512; i++)
    if (data[i] < 0x20 && !strchr("\t\r\n", data[i])) return false;
  return size > 0;
}

bool nnm_is_json(const unsigned char *data, size_t size) {
  unsigned char first = first_byte(data, size);
  return first == '{' || first == '[';
}

bool nnm_is_json_object(const unsigned char *data, size_t size) { return first_byte(data, size) == '{'; }

bool nnm_json_begins_empty(const unsigned char *data, size_t size) {
  size_t end = size < PROBED_BYTES ? size : PROBED_BYTES, count = 0;
  char tokens[6] = ""; /* punctuation, and a quote for a text */
  for (size_t i = 0; i < end && count < sizeof tokens - 1; i++) {
    if (data[i] && strchr(" \t\r\n", data[i])) continue;
    tokens[count++] = (char)data[i];
    if (data[i] == '"')
      for (i++; i < end && data[i] != '"';) i++;
  }
  return !strncmp(tokens, "{}", 2) || !strcmp(tokens, "{\":{}");
}

bool nnm_begins_with_mention(const unsigned char *data, size_t size, const char *text) {
  size_t length = strlen(text), end = size < PROBED_BYTES ? size : PROBED_BYTES;
  for (size_t i = 0; i + length <= end; i++)
    if (!memcmp(data + i, text, length)) return true;
  return false;
}

static signature recognise(const unsigned char *data, size_t size) {
  const signature *row = find_signature(data, size);
  bool is_tensorflow = nnm_reader_tensorflow.probe(data, size) == 2;
  if (!size) return (signature){.is = "is empty", .remedy = "fetch or export it again"};
  if (is_tensorflow)
    return (signature){.is = "looks like a TensorFlow model",
                       .remedy = "give it with --tensorflow, or as a file alone"};
  if (row) return *row;
  if (nnm_reader_onnx.probe(data, size) == 2)
    return (signature){.is = "looks like an ONNX model", .remedy = "give it with --onnx, or as a file alone"};
  if (nnm_reader_nni_ir.probe(data, size) == 2)
    return (signature){.is = "looks like NNI's graph IR", .remedy = "give it with --nni-ir, or as a file alone"};
  if (nnm_reader_benchmark.probe(data, size) == 2)
    return (signature){.is = "looks like a graph of the 26k benchmark", .remedy = "give it as a file alone"};
  if (nnm_reader_nnmeter_ir.probe(data, size) == 2)
    return (signature){.is = "looks like nn-Meter IR", .remedy = "give it with --nn-meter-ir, or as a file alone"};
  if (nnm_is_json(data, size))
    return (signature){.is = "looks like JSON",
                       .remedy = "give an .onnx file, or an nn-Meter IR file (one object with a key for each node)"};
  if (is_text(data, size)) return (signature){.is = "looks like plain text", .remedy = "give an .onnx file"};
  return (signature){.is = "is damaged, or of a kind that is not known here",
                     .remedy = "fetch it again, or export the model to ONNX"};
}

nnm_status nnm_fail_rules_content(nnm_error *error, const unsigned char *data, size_t size) {
  return nnm_fail(error, NNM_ERROR_FORMAT, NULL,
                  "no fusion rules: it %s; give a JSON file of rules, {\"BF_conv_relu\": {\"obey\": true}, ...}",
                  recognise(data, size).is);
}

nnm_status nnm_fail_content(nnm_error *error, const char *format, const unsigned char *data, size_t size) {
  signature content = recognise(data, size);
  return nnm_fail(error, NNM_ERROR_FORMAT, NULL, "not a model%s%s: it %s; %s", format ? " of format " : "",
                  format ? format : "", content.is, content.remedy);
}
