// Writes the models of llama_cpp_model.h into a folder, for llama_cpp/record.py.
#include <cstdio>
#include <filesystem>

#include "tests/conformance/llama_cpp_model.h"
#include "tests/support/temporary_files.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_llama_cpp_models FOLDER\n");
    return 2;
  }
  const auto write = [&](const std::vector<forge::testing::LlamaCppModel>& models) {
    for (const forge::testing::LlamaCppModel& model : models)
      forge::testing::WriteFile(std::filesystem::path(argv[1]) / (model.name + ".gguf"),
                                model.Build());
  };
  write(forge::testing::LlamaCppModels());
  write(forge::testing::LlamaCppEncoders());
  return 0;
}
