#pragma once

#include <string>

namespace forge::client {

// Whether the daemon at a gRPC target sees this machine's files: a Unix socket or loopback.
bool IsLocal(const std::string& address);

// What is sent to the daemon for a model that a person named. The daemon knows names and absolute
// paths; a path from the working directory becomes absolute, if the daemon is on this machine. A
// path is what begins with "./" or "../", and what ends in ".gguf" and is there.
std::string ModelArgument(const std::string& model, const std::string& address);

}  // namespace forge::client
