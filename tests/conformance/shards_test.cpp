// A model that is split into several files, against the one file it was split from.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <string>
#include <vector>

#include "engine/gguf/shard_name.h"
#include "tests/conformance/copy_model.h"
#include "tests/engine/runtime/forward_harness.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

namespace fs = std::filesystem;
using testing::ForwardHarness;
using testing::GgufBuilder;
using testing::Logits;

constexpr uint32_t kShards = 3;

// Writes `file` as gguf-split does: the metadata into the first shard, tensors in order into all.
void Split(const GgufFile& file, const fs::path& directory) {
  const size_t n_tensors = file.tensors().size();
  for (uint32_t shard = 0; shard < kShards; ++shard) {
    GgufBuilder builder;
    if (shard == 0) testing::CopyMetadata(file, builder);
    builder.AddUint32("split.no", shard).AddUint32("split.count", kShards);
    builder.AddInt32("split.tensors.count", static_cast<int32_t>(n_tensors));
    for (size_t i = n_tensors * shard / kShards; i < n_tensors * (shard + 1) / kShards; ++i) {
      const GgufTensor& tensor = file.tensors()[i];
      testing::AddTensorLike(tensor, tensor.dtype, testing::ReadTensor(file, tensor), builder);
    }
    testing::WriteFile(directory / ShardName{"split", shard + 1, kShards}.FileName(),
                       builder.Build());
  }
}

TEST(ShardsTest, GiveTheLogitsOfTheUnsplitModelToTheBit) {
  const fs::path whole = fs::path(FORGE_SOURCE_DIR) / "models/demo.gguf";
  const testing::TempDirectory temporary;
  const fs::path& directory = temporary.path();
  Split(*GgufFile::Open(whole.string()).value(), directory);
  ForwardHarness expected(whole, {});
  const std::vector<TokenId> prompt = {1, 5, 9, 200, 31, 77, 12, 3};
  const Logits logits = expected.Feed(0, prompt, 64);
  for (uint32_t shard = 1; shard <= kShards; ++shard) {
    ForwardHarness split(directory / ShardName{"split", shard, kShards}.FileName(), {});
    EXPECT_EQ(split.Feed(0, prompt, 64), logits) << "opened by shard " << shard;
  }
}

}  // namespace
}  // namespace forge
