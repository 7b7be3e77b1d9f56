#pragma once

#include <memory>
#include <string>
#include <utility>

#include "engine/arch/architecture.h"
#include "engine/gguf/gguf_file.h"
#include "engine/model/model_plan.h"
#include "kernels/base/check.h"
#include "tests/support/temporary_files.h"
#include "tests/support/tiny_model.h"

namespace forge::testing {

// A tiny model's file, open.
class OpenedModel {
 public:
  explicit OpenedModel(const TinyModelOptions& options = {})
      : OpenedModel(MakeTinyModel(options)) {}
  explicit OpenedModel(const GgufBuilder& builder) : temporary_(builder.Build()) {
    Result<std::unique_ptr<GgufFile>> opened = GgufFile::Open(temporary_.path().string());
    FORGE_CHECK(opened.ok(), opened.status().message());
    file_ = std::move(*opened);
  }

  const GgufFile& file() const { return *file_; }
  const std::filesystem::path& path() const { return temporary_.path(); }
  ModelDescription Describe() const {
    Result<ModelDescription> description = DescribeModel(*file_);
    FORGE_CHECK(description.ok(), description.status().message());
    return std::move(*description);
  }
  Result<ModelPlan> Plan(const LoadOptions& options, const Device& device) const {
    return PlanModel(Describe(), *file_, options, device);
  }

 private:
  TempFile temporary_;
  std::unique_ptr<GgufFile> file_;
};

}  // namespace forge::testing
