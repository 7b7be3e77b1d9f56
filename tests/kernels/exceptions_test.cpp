#include "kernels/base/exceptions.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <system_error>

#include "kernels/base/descriptor.h"
#include "kernels/base/result.h"

namespace forge {
namespace {

template <typename Exception>
Status StatusOfThrown(const Exception& exception) {
  return StatusOf(std::make_exception_ptr(exception));
}

TEST(ExceptionsTest, TellsLimitsFromFaults) {
  const Status memory = StatusOfThrown(std::bad_alloc());
  EXPECT_EQ(memory.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(memory.reason(), "HOST_MEMORY_EXHAUSTED");
  const auto no_thread = std::make_error_code(std::errc::resource_unavailable_try_again);
  EXPECT_EQ(StatusOfThrown(std::system_error(no_thread)).code(), StatusCode::kResourceExhausted);
  const auto other = std::make_error_code(std::errc::io_error);
  EXPECT_EQ(StatusOfThrown(std::system_error(other)).code(), StatusCode::kInternal);
  const Status fault = StatusOfThrown(std::length_error("too long"));
  EXPECT_EQ(fault.code(), StatusCode::kInternal);
  EXPECT_EQ(fault.message(), "unexpected fault: too long");
  EXPECT_EQ(StatusOfThrown(7).code(), StatusCode::kInternal);
}

TEST(ExceptionsTest, CaughtReturnsWhatIsReturnedOrThrown) {
  EXPECT_EQ(*Caught([]() -> Result<int> { return 7; }), 7);
  const Result<int> thrown = Caught([]() -> Result<int> { throw std::length_error("too long"); });
  EXPECT_EQ(thrown.status().message(), "unexpected fault: too long");
  EXPECT_TRUE(Caught([] { return Status(); }).ok());
}

TEST(ExceptionsTest, ContainTellsUntilThereIsMemoryToTellWith) {
  int n_told = 0;
  Contain([] { throw std::bad_alloc(); },
          [&](const Status& status) {
            EXPECT_EQ(status.reason(), "HOST_MEMORY_EXHAUSTED");
            if (++n_told < 3) throw std::bad_alloc();
          });
  EXPECT_EQ(n_told, 3);
  Contain([] {}, [](const Status&) { FAIL() << "nothing was thrown"; });
}

TEST(ExceptionsTest, UntilMemoryBeginsAnew) {
  int n_begun = 0;
  EXPECT_EQ(UntilMemory([&] {
              if (++n_begun < 3) throw std::bad_alloc();
              return n_begun;
            }),
            3);
  EXPECT_THROW(UntilMemory([] { throw std::length_error("too long"); }), std::length_error);
}

TEST(DescriptorTest, IsClosedUnlessItWasReleased) {
  const auto is_open = [](int number) { return ::fcntl(number, F_GETFD) >= 0; };
  int number = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    Descriptor first(number);
    Descriptor second(std::move(first));
    EXPECT_FALSE(first.is_open());  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(second.get(), number);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
  number = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)).Release();
  EXPECT_TRUE(is_open(number));
  ::close(number);
  EXPECT_FALSE(Descriptor(-1).is_open());
}

}  // namespace
}  // namespace forge
