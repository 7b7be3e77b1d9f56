#include "client/model_argument.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_files.h"

namespace forge::client {
namespace {

namespace fs = std::filesystem;

constexpr char kSocket[] = "unix:///run/forge/forge.sock";

// Runs in a directory of its own.
class ModelArgumentTest : public ::testing::Test {
 protected:
  ModelArgumentTest() {
    directory_.WriteFile("here/a.gguf", "x");
    directory_.WriteFile("b.gguf", "x");
    fs::current_path(root_ / "here");
  }
  ~ModelArgumentTest() override { fs::current_path(before_); }

  const fs::path before_ = fs::current_path();
  const testing::TempDirectory directory_;
  const fs::path root_ = directory_.path();
};

TEST_F(ModelArgumentTest, APathFromTheWorkingDirectoryBecomesAbsolute) {
  EXPECT_EQ(ModelArgument("./a.gguf", kSocket), (root_ / "here/a.gguf").string());
  EXPECT_EQ(ModelArgument("a.gguf", kSocket), (root_ / "here/a.gguf").string());
  EXPECT_EQ(ModelArgument("../b.gguf", kSocket), (root_ / "b.gguf").string());
  EXPECT_EQ(ModelArgument("../b", kSocket), (root_ / "b").string());
  EXPECT_EQ(ModelArgument("./absent.gguf", "127.0.0.1:50051"),
            (root_ / "here/absent.gguf").string());
}

TEST_F(ModelArgumentTest, LinksOfTheDirectoryAreFollowedAndThoseOfTheFileKept) {
  fs::create_directory_symlink("here", root_ / "there");
  fs::create_symlink("a.gguf", "link.gguf");
  EXPECT_EQ(ModelArgument("../there/link.gguf", kSocket), (root_ / "here/link.gguf").string());
}

TEST_F(ModelArgumentTest, NamesAreSentAsTheyAre) {
  for (const char* name : {"a", "demo", "demo.gguf", "qwen/qwen2.5-7b", "/srv/a.gguf", ".hidden"})
    EXPECT_EQ(ModelArgument(name, kSocket), name);
}

TEST_F(ModelArgumentTest, ADaemonElsewhereHasOtherFiles) {
  EXPECT_EQ(ModelArgument("./a.gguf", "10.0.0.5:50051"), "./a.gguf");
  EXPECT_TRUE(IsLocal("localhost:50051"));
  EXPECT_TRUE(IsLocal("ipv4:127.0.0.1:50051"));
  EXPECT_TRUE(IsLocal("[::1]:50051"));
  EXPECT_FALSE(IsLocal("dns:///example.org:50051"));
}

}  // namespace
}  // namespace forge::client
