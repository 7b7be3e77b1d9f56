#include "daemon/residency/catalogue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "tests/daemon/daemon_fixture.h"
#include "tests/support/temporary_files.h"

namespace forge {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TempDirectory;

class CatalogueTest : public ::testing::Test {
 protected:
  CatalogueTest() {
    fs::create_directories(root_);
    fs::create_directories(second_);
  }
  // A file of 24 bytes that begins as a model does.
  void Add(const std::string& relative) { directory_.WriteFile(relative, kStart); }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const ModelFile& file : catalogue_.List().models) names.push_back(file.name);
    return names;
  }
  std::string ReasonOf(std::string_view model) const {
    return std::string(catalogue_.Resolve(model).status().reason());
  }

  const std::string kStart = "GGUF" + std::string(20, '\0');
  TempDirectory directory_;
  const fs::path root_ = directory_.path() / "models";
  const fs::path second_ = directory_.path() / "more";
  const Catalogue catalogue_{{root_.string(), second_.string(), "/does/not/exist"}};
};

TEST_F(CatalogueTest, FindsByNameWithAndWithoutSuffixAndByPath) {
  Add("models/qwen/q.gguf");
  for (const std::string& model :
       {std::string("qwen/q"), std::string("qwen/q.gguf"), std::string("qwen//./q"),
        (root_ / "qwen/q.gguf").string(), (root_ / "qwen/q").string()}) {
    const Result<ModelFile> file = catalogue_.Resolve(model);
    ASSERT_TRUE(file.ok()) << model << ": " << file.status().message();
    EXPECT_EQ(file->name, "qwen/q");
    EXPECT_EQ(file->path, (root_ / "qwen/q.gguf").string());
    EXPECT_EQ(file->size_bytes, 24u);
  }
}

TEST_F(CatalogueTest, FindsFilesWithoutTheSuffixSoThatTheirFaultCanBeTold) {
  Add("models/notes.txt");
  EXPECT_EQ(catalogue_.Resolve("notes.txt")->name, "notes.txt");
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(CatalogueTest, RefusesEveryWayOut) {
  directory_.WriteFile("secret.gguf", "x");
  fs::create_directory(directory_.path() / "outside");
  directory_.WriteFile("outside/s.gguf", "x");
  fs::create_symlink(directory_.path() / "secret.gguf", root_ / "link.gguf");
  fs::create_symlink("../secret.gguf", root_ / "relative-link.gguf");
  fs::create_directory_symlink(directory_.path() / "outside", root_ / "way");
  fs::create_symlink("/proc/self/environ", root_ / "proc.gguf");
  const std::string outside[] = {
      "..",
      "../secret",
      "a/../../secret",
      "/etc/passwd",
      "/",
      "//etc/passwd",
      (directory_.path() / "secret.gguf").string(),
      root_.string() + "/../secret.gguf",
      root_.string() + "-evil/x",
      root_.string(),
      "link",
      "link.gguf",
      "relative-link",
      "way/s",
      "proc",
      (root_ / "link.gguf").string(),
      std::string("a\0b", 3),
      "a\nb",
      "/proc/self/mem",
  };
  for (const std::string& model : outside) {
    EXPECT_EQ(ReasonOf(model), "MODEL_PATH_OUTSIDE") << model;
    EXPECT_EQ(catalogue_.Resolve(model).status().code(), StatusCode::kInvalidArgument) << model;
  }
  EXPECT_THAT(Names(), IsEmpty()) << "links to outside are not listed either";
}

TEST_F(CatalogueTest, FollowsLinksThatStayInside) {
  Add("models/real.gguf");
  fs::create_symlink("real.gguf", root_ / "alias.gguf");
  fs::create_symlink(root_ / "real.gguf", root_ / "absolute.gguf");
  for (const char* name : {"alias", "absolute"}) {
    EXPECT_EQ(catalogue_.Resolve(name)->path, (root_ / "real.gguf").string());
  }
  EXPECT_THAT(Names(), ElementsAre("absolute", "alias", "real"));
}

TEST_F(CatalogueTest, RefusesWhatIsNoRegularFile) {
  fs::create_directories(root_ / "dir.gguf");
  ASSERT_EQ(::mkfifo((root_ / "fifo.gguf").c_str(), 0600), 0);
  for (const char* name : {"dir", "dir.gguf", "fifo"}) {
    EXPECT_EQ(ReasonOf(name), "MODEL_FILE_INVALID") << name;
  }
  EXPECT_THAT(std::string(catalogue_.Resolve("dir").status().message()),
              HasSubstr("is a directory, not a regular file"));
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(CatalogueTest, RefusesEmptyAndEndlessNames) {
  EXPECT_EQ(ReasonOf(""), "INVALID_REQUEST");
  EXPECT_EQ(ReasonOf(std::string(5000, 'a')), "INVALID_REQUEST");
  EXPECT_FALSE(catalogue_.Resolve(std::string(1000, 'a')).ok()) << "longer than a file name may be";
}

TEST_F(CatalogueTest, SaysWhereItSearched) {
  for (const std::string& model : {std::string("absent"), (root_ / "absent").string()}) {
    const Status status = catalogue_.Resolve(model).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound);
    EXPECT_EQ(status.reason(), "MODEL_NOT_FOUND");
    EXPECT_THAT(std::string(status.message()), HasSubstr(root_.string()));
    EXPECT_THAT(std::string(status.message()), HasSubstr(second_.string()));
  }
}

TEST_F(CatalogueTest, TheFirstDirectoryWinsANameAndTheOtherFileIsAmbiguous) {
  Add("models/m.gguf");
  Add("more/m.gguf");
  Add("more/n.gguf");
  EXPECT_EQ(catalogue_.Resolve("m")->path, (root_ / "m.gguf").string());
  EXPECT_EQ(ReasonOf((second_ / "m.gguf").string()), "MODEL_NAME_AMBIGUOUS");
  EXPECT_EQ(catalogue_.Resolve((second_ / "n.gguf").string())->name, "n");
  EXPECT_THAT(Names(), ElementsAre("m", "n"));
}

TEST_F(CatalogueTest, AConfiguredDirectoryMayItselfBeALink) {
  fs::create_directory(directory_.path() / "disk");
  Add("disk/m.gguf");
  fs::create_directory_symlink(directory_.path() / "disk", directory_.path() / "linked");
  const Catalogue catalogue({(directory_.path() / "linked").string()});
  EXPECT_TRUE(catalogue.Resolve("m").ok());
  EXPECT_TRUE(catalogue.Resolve((directory_.path() / "linked/m.gguf").string()).ok());
  EXPECT_TRUE(catalogue.Resolve((directory_.path() / "disk/m.gguf").string()).ok());
  EXPECT_EQ(catalogue.List().models.size(), 1u);
}

TEST_F(CatalogueTest, ListsToABoundedDepthAndLeavesOutUnprintableNames) {
  std::string deep = "models";
  for (int i = 0; i < Catalogue::kMaxDepth; ++i) deep += "/d";
  Add(deep + "/at-limit.gguf");
  Add(deep + "/d/beyond.gguf");
  Add("models/bad\nname.gguf");
  Add("models/bad\xffname.gguf");
  EXPECT_THAT(Names(), ElementsAre("d/d/d/d/d/d/d/d/at-limit"));
}

TEST_F(CatalogueTest, SaysWhatItLeavesOutAndWhy) {
  directory_.WriteFile("secret.gguf", "x");
  Add("models/good.gguf");
  Add("models/readme.txt");
  Add("models/bad\nname.gguf");
  Add("models/half-00002-of-00002.gguf");
  Add("more/good.gguf");
  fs::create_symlink(directory_.path() / "secret.gguf", root_ / "outside.gguf");
  fs::create_symlink("nowhere", root_ / "dangling.gguf");
  const Catalogue::Listing listing = catalogue_.List();
  EXPECT_EQ(listing.n_left_out, 5u);
  std::map<std::string, std::string> reasons;
  for (const Catalogue::LeftOut& left_out : listing.left_out)
    reasons[fs::path(left_out.path).lexically_relative(directory_.path()).string()] =
        left_out.reason;
  EXPECT_THAT(reasons["models/bad\nname.gguf"], HasSubstr("control character"));
  EXPECT_THAT(reasons["models/half-00002-of-00002.gguf"], HasSubstr("00001-of-00002"));
  EXPECT_THAT(reasons["models/outside.gguf"], HasSubstr("outside the model directories"));
  EXPECT_THAT(reasons["models/dangling.gguf"], HasSubstr("does not exist"));
  EXPECT_THAT(reasons["more/good.gguf"], HasSubstr((root_ / "good.gguf").string()));
  EXPECT_EQ(Catalogue({"/does/not/exist"}).List().n_left_out, 0u);
}

TEST_F(CatalogueTest, LeavesOutWhatDoesNotBeginAsAModelDoesAndStillResolvesIt) {
  const std::pair<const char*, std::string> files[] = {
      {"empty", ""},
      {"short", "GGUF\x03"},
      {"shorter", "GG"},
      {"text", "This is a shopping list.\n"},
      {"pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}};
  for (const auto& [name, contents] : files)
    directory_.WriteFile("models/" + std::string(name) + ".gguf", contents);
  directory_.WriteFile("models/split-00001-of-00001.gguf", "text");
  Add("models/good.gguf");
  EXPECT_THAT(Names(), ElementsAre("good"));
  std::map<std::string, std::string> reasons;
  for (const Catalogue::LeftOut& left_out : catalogue_.List().left_out)
    reasons[fs::path(left_out.path).stem().string()] = left_out.reason;
  EXPECT_TRUE(std::ranges::is_sorted(catalogue_.List().left_out, {}, &Catalogue::LeftOut::path));
  EXPECT_EQ(reasons["empty"], "is empty");
  EXPECT_THAT(reasons["short"], HasSubstr("it has 5 bytes, and a header alone 24"));
  EXPECT_THAT(reasons["shorter"], HasSubstr("it has 2 bytes"));
  EXPECT_THAT(reasons["text"], HasSubstr("is no GGUF file"));
  EXPECT_THAT(reasons["pointer"], HasSubstr("git lfs pull"));
  EXPECT_THAT(reasons["split-00001-of-00001"], HasSubstr("is no GGUF file"));
  EXPECT_TRUE(catalogue_.Resolve("text").ok()) << "so that a load tells its fault";
}

TEST_F(CatalogueTest, DoesNotFollowLinkedDirectoriesInCircles) {
  Add("models/a/m.gguf");
  fs::create_directory_symlink(root_, root_ / "a/up");
  EXPECT_THAT(Names(), ElementsAre("a/m"));
}

TEST_F(CatalogueTest, FindsASplitModelByItsNameAndByTheFileOfEveryShard) {
  Add("models/big/m-00001-of-00002.gguf");
  directory_.WriteFile("models/big/m-00002-of-00002.gguf", "0123456789");
  for (const std::string& model : {std::string("big/m"), std::string("big/m-00001-of-00002.gguf"),
                                   std::string("big/m-00002-of-00002"), (root_ / "big/m").string(),
                                   (root_ / "big/m-00001-of-00002.gguf").string(),
                                   (root_ / "big/m-00002-of-00002.gguf").string()}) {
    const Result<ModelFile> file = catalogue_.Resolve(model);
    ASSERT_TRUE(file.ok()) << model << ": " << file.status().message();
    EXPECT_EQ(file->name, "big/m");
    EXPECT_EQ(file->path, (root_ / "big/m-00001-of-00002.gguf").string());
    EXPECT_EQ(file->size_bytes, 34u);
  }
  EXPECT_THAT(Names(), ElementsAre("big/m"));
  EXPECT_EQ(catalogue_.List().models.front().size_bytes, 34u);
}

TEST_F(CatalogueTest, RefusesASplitModelOfWhichAShardIsMissing) {
  Add("models/m-00001-of-00003.gguf");
  Add("models/m-00003-of-00003.gguf");
  for (const char* model : {"m", "m-00001-of-00003", "m-00003-of-00003.gguf"}) {
    const Status status = catalogue_.Resolve(model).status();
    EXPECT_EQ(status.code(), StatusCode::kNotFound) << model;
    EXPECT_EQ(status.reason(), "MODEL_NOT_FOUND");
    EXPECT_THAT(std::string(status.message()), HasSubstr("m-00002-of-00003.gguf is missing"));
  }
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(CatalogueTest, RefusesASplitModelOfWhichAShardLiesOutside) {
  directory_.WriteFile("secret.gguf", "x");
  Add("models/m-00001-of-00002.gguf");
  fs::create_symlink(directory_.path() / "secret.gguf", root_ / "m-00002-of-00002.gguf");
  for (const char* model : {"m", "m-00001-of-00002", "m-00002-of-00002"})
    EXPECT_EQ(ReasonOf(model), "MODEL_PATH_OUTSIDE") << model;
  EXPECT_EQ(ReasonOf("../m-00001-of-00002.gguf"), "MODEL_PATH_OUTSIDE");
  EXPECT_THAT(Names(), IsEmpty());
}

// The layout of a Hugging Face cache.
TEST_F(CatalogueTest, KeepsTheNamesOfShardsThatAreLinks) {
  Add("models/blobs/one");
  Add("models/blobs/two");
  fs::create_directory(root_ / "snapshot");
  fs::create_symlink("../blobs/one", root_ / "snapshot/m-00001-of-00002.gguf");
  fs::create_symlink("../blobs/two", root_ / "snapshot/m-00002-of-00002.gguf");
  EXPECT_EQ(catalogue_.Resolve("snapshot/m")->path,
            (root_ / "snapshot/m-00001-of-00002.gguf").string());
}

TEST_F(CatalogueTest, PrefersAFileToASplitModelOfItsName) {
  Add("models/m.gguf");
  Add("models/m-00001-of-00001.gguf");
  EXPECT_EQ(catalogue_.Resolve("m")->path, (root_ / "m.gguf").string());
  EXPECT_EQ(ReasonOf((root_ / "m-00001-of-00001.gguf").string()), "MODEL_NAME_AMBIGUOUS");
  EXPECT_THAT(Names(), ElementsAre("m"));
  EXPECT_EQ(catalogue_.List().models.front().path, (root_ / "m.gguf").string());
}

TEST_F(CatalogueTest, RefusesANameOfTwoSplitModels) {
  Add("models/m-00001-of-00001.gguf");
  Add("models/m-00001-of-00002.gguf");
  Add("models/m-00002-of-00002.gguf");
  EXPECT_EQ(ReasonOf("m"), "MODEL_NAME_AMBIGUOUS");
}

}  // namespace
}  // namespace forge
