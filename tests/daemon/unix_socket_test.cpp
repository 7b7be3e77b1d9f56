#include "daemon/rpc/unix_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/daemon/daemon_fixture.h"
#include "tests/support/temporary_files.h"

namespace forge::testing {
namespace {

using ::testing::HasSubstr;

class UnixSocketTest : public ::testing::Test {
 protected:
  // A listening socket made without UnixSocket, as another program would.
  int ListenElsewhere() const {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(::bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(descriptor, 1), 0);
    return descriptor;
  }
  bool Exists() const { return std::filesystem::exists(path_); }

  TempDirectory directory_;
  const std::string path_ = directory_.path() / "forge.sock";
};

TEST_F(UnixSocketTest, HasItsModeWhateverTheUmask) {
  const mode_t before = ::umask(0);
  for (const mode_t mode : {0600u, 0660u, 0666u}) {
    const Result<UnixSocket> socket = UnixSocket::Listen(path_, mode);
    ASSERT_TRUE(socket.ok()) << socket.status().message();
    struct stat info = {};
    ASSERT_EQ(::stat(path_.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, mode);
  }
  ::umask(before);
}

TEST_F(UnixSocketTest, LeavesNothingBehind) {
  { ASSERT_TRUE(UnixSocket::Listen(path_, 0600).ok()); }
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

TEST_F(UnixSocketTest, ReplacesAStaleSocket) {
  ::close(ListenElsewhere());
  ASSERT_TRUE(Exists());
  EXPECT_TRUE(UnixSocket::Listen(path_, 0600).ok());
}

TEST_F(UnixSocketTest, KeepsASecondDaemonOff) {
  const Result<UnixSocket> first = UnixSocket::Listen(path_, 0600);
  ASSERT_TRUE(first.ok());
  const Result<UnixSocket> second = UnixSocket::Listen(path_, 0600);
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another forged listens on"));
  EXPECT_TRUE(Exists()) << "the first one's socket is untouched";
}

TEST_F(UnixSocketTest, DoesNotTakeASocketThatAnotherProgramAnswers) {
  const int other = ListenElsewhere();
  const Result<UnixSocket> socket = UnixSocket::Listen(path_, 0600);
  EXPECT_EQ(socket.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(Exists());
  ::close(other);
}

TEST_F(UnixSocketTest, DoesNotRemoveWhatIsNoSocket) {
  directory_.WriteFile("forge.sock", "precious");
  const Result<UnixSocket> socket = UnixSocket::Listen(path_, 0600);
  EXPECT_EQ(socket.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(socket.status().message()), HasSubstr("is no socket"));
  EXPECT_TRUE(Exists());
}

TEST_F(UnixSocketTest, NamesADirectoryThatDoesNotExist) {
  const Result<UnixSocket> socket =
      UnixSocket::Listen(directory_.path() / "absent/forge.sock", 0600);
  EXPECT_EQ(socket.status().code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(socket.status().message()),
              HasSubstr((directory_.path() / "absent").string() + " does not exist; create it"));
}

}  // namespace
}  // namespace forge::testing
