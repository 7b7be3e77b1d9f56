#include "client/model_argument.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace forge::client {
namespace {

namespace fs = std::filesystem;

constexpr char kSocket[] = "unix:///run/forge/forge.sock";

// Runs in a directory of its own.
class ModelArgumentTest : public ::testing::Test {
 protected:
  ModelArgumentTest() {
    fs::remove_all(root_);
    fs::create_directories(root_ / "here");
    fs::current_path(root_ / "here");
    std::ofstream("a.gguf") << "x";
    std::ofstream("../b.gguf") << "x";
  }
  ~ModelArgumentTest() override {
    fs::current_path(before_);
    fs::remove_all(root_);
  }

  const fs::path before_ = fs::current_path();
  const fs::path root_ = fs::canonical(::testing::TempDir()) / "model_argument_test";
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
