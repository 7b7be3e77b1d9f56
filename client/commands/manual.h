#pragma once

#include <CLI/App.hpp>
#include <string>

namespace forge::client {

// The page forgectl(1) in roff's man macros, with every command and option that the help of `app`
// shows. The build makes the installed page with it.
std::string ManualPage(const CLI::App& app, const std::string& version);

}  // namespace forge::client
