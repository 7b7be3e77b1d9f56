#include "kernels/base/exceptions.h"

#include <string>
#include <system_error>

namespace forge {
namespace {

bool IsOfLimit(const std::error_code& code) {
  return code == std::errc::resource_unavailable_try_again ||
         code == std::errc::not_enough_memory || code == std::errc::too_many_files_open ||
         code == std::errc::too_many_files_open_in_system;
}

}  // namespace

Status StatusOf(const std::exception_ptr& exception) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::bad_alloc&) {
    return ResourceExhausted(
               "no host memory for this; free some, or raise the limit of the process")
        .WithReason("HOST_MEMORY_EXHAUSTED");
  } catch (const std::system_error& error) {
    if (!IsOfLimit(error.code())) return Internal(std::string("unexpected fault: ") + error.what());
    return ResourceExhausted(
        std::string("the system gives this process no more threads or descriptors: ") +
        error.what() + "; raise its limits");
  } catch (const std::exception& error) {
    return Internal(std::string("unexpected fault: ") + error.what());
  } catch (...) {
    return Internal("unexpected fault, which does not say what it is");
  }
}

}  // namespace forge
