#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace forge {

// A Jinja template in a form that depends only on what it does, so that templates which differ in
// layout alone can be told to be the same. Nothing is executed or checked.
//
// `code` is the template without comments, without the blank space inside its tags and the dashes
// of "{%-", with 'single' quotes, with x['role'] for x.role, and 'ab' for 'a' + 'b'. Text outside
// tags is what Jinja would print under trim_blocks and lstrip_blocks, and stands between kTextBegin
// and kTextEnd.
struct TemplateShape {
  static constexpr char kTextBegin = '\x02';
  static constexpr char kTextEnd = '\x03';

  std::string code;
  std::vector<std::string> literals;  // every string in a tag, escapes resolved

  bool Contains(std::string_view fragment) const {
    return code.find(fragment) != std::string::npos;
  }
};

// nullopt if a tag or a string is not closed. Linear in the size of the template.
std::optional<TemplateShape> ReadTemplateShape(std::string_view source);

}  // namespace forge
