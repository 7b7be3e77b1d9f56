// forge-synth: writes model files of real shapes with random weights. docs/measuring.md.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>

#include "tools/synth/format_mix.h"
#include "tools/synth/model_shape.h"
#include "tools/synth/synth_model.h"

namespace forge {
namespace {

constexpr int kUsageError = 2;

int Fail(const Status& status) {
  std::fprintf(stderr, "forge-synth: %s\n", std::string(status.message()).c_str());
  return status.code() == StatusCode::kFailedPrecondition ? 1 : kUsageError;
}

void PrintList() {
  std::printf("%-14s %-9s %8s %6s %6s %5s/%-3s %8s  experts\n", "shape", "family", "layers", "embd",
              "ff", "heads", "kv", "vocab");
  for (const ModelShape& shape : ModelShapes()) {
    const std::string layers =
        shape.default_layers == shape.n_layers
            ? std::to_string(shape.n_layers)
            : std::to_string(shape.default_layers) + " of " + std::to_string(shape.n_layers);
    std::printf("%-14s %-9s %8s %6u %6u %5u/%-3u %8u", std::string(shape.name).c_str(),
                std::string(shape.architecture).c_str(), layers.c_str(), shape.n_embd, shape.n_ff,
                shape.n_heads, shape.n_kv_heads, shape.n_vocab);
    if (shape.n_experts > 0)
      std::printf("  %u of %u, ff %u", shape.n_experts_used, shape.n_experts, shape.n_expert_ff);
    std::printf("\n");
  }
  std::printf("\ntypes:");
  for (const std::string_view name : FormatMixNames())
    std::printf(" %s", std::string(name).c_str());
  std::printf("\n");
}

void PrintTensors(const SynthModel& model) {
  for (const GgufTensorEntry& tensor : model.tensors) {
    std::string extents;
    for (const uint64_t extent : tensor.extents)
      extents += (extents.empty() ? "" : " x ") + std::to_string(extent);
    std::printf("%-32s %-8s %s\n", tensor.name.c_str(), std::string(tensor.format->name).c_str(),
                extents.c_str());
  }
}

int Run(int argc, char** argv) {
  CLI::App app("Writes GGUF model files of real shapes with random weights.", "forge-synth");
  SynthOptions options;
  std::string path;
  bool list = false, tensors = false;
  app.add_flag("--list", list, "Show shapes and types, write nothing");
  app.add_option("--shape", options.shape, "Shape, as --list names it");
  app.add_option("--type", options.type,
                 "Type: what llama-quantize calls one (Q4_K_M), or a format (Q4_K)")
      ->capture_default_str();
  app.add_flag("--pure", options.is_pure, "The type's base format in every matrix");
  app.add_option("--layers", options.n_layers, "Layers; 0: as --list shows")->capture_default_str();
  app.add_option("--seed", options.seed, "The same seed gives the same file")
      ->capture_default_str();
  app.add_option("-t,--threads", options.n_threads, "Threads; 0: one for each processor")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  app.add_flag("--tensors", tensors, "Show the tensors and their formats, write nothing");
  app.add_option("-o,--output", path, "File to write");
  options.type = "Q4_K_M";
  CLI11_PARSE(app, argc, argv);
  if (list) {
    PrintList();
    return 0;
  }
  if (options.shape.empty() || (path.empty() && !tensors)) {
    std::fprintf(stderr, "forge-synth: --shape and --output are needed; see --help\n");
    return kUsageError;
  }
  const Result<SynthModel> model = PlanSynthModel(options);
  if (!model.ok()) return Fail(model.status());
  if (tensors) {
    PrintTensors(*model);
    return 0;
  }
  const Status written = WriteSynthModel(*model, options, path);
  if (!written.ok()) return Fail(written);
  std::printf("%s: %.2f GB, %zu tensors\n", path.c_str(),
              static_cast<double>(model->file_bytes()) * 1e-9, model->tensors.size());
  return 0;
}

}  // namespace
}  // namespace forge

int main(int argc, char** argv) {
  try {
    return forge::Run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "forge-synth: %s\n", error.what());
    return 1;
  }
}
