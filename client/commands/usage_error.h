#pragma once

#include <CLI/App.hpp>
#include <CLI/Error.hpp>
#include <string>

namespace forge::client {

// "there is no command 'lst'; did you mean 'list'?"
std::string UnknownCommand(const CLI::App& app, const std::string& name);

// What is wrong with a command line, in two lines: the command, the argument and what was probably
// meant; then where the help is. REQUIRES: `app` has just parsed, and threw `error`.
std::string ExplainUsage(const CLI::App& app, const CLI::ParseError& error);

}  // namespace forge::client
