#include "engine/text/jinja/template.h"

#include <string>
#include <utility>

#include "engine/text/jinja/ast.h"
#include "engine/text/jinja/errors.h"
#include "engine/text/jinja/parser.h"
#include "engine/text/jinja/runtime.h"

namespace forge::jinja {

struct ParsedTemplate {
  std::string source;
  Limits limits;
  Body body;
};

Result<Template> Template::Parse(std::string_view source, const Limits& limits) {
  auto parsed = std::make_shared<ParsedTemplate>();
  FORGE_ASSIGN_OR_RETURN(parsed->body, jinja::Parse(source, limits));
  parsed->source = source;
  parsed->limits = limits;
  return Template(std::move(parsed));
}

Result<Text> Template::Render(const Define& define, const std::tm& now) const {
  Runtime runtime(parsed_->limits, now);
  FORGE_TRY(define(runtime));
  Result<Text> text = runtime.Render(parsed_->body);
  if (text.ok() || !text.status().reason().empty()) return text;
  return text.status().WithReason(kFailedReason);
}

bool Template::Mentions(std::string_view name) const {
  return parsed_->source.find(name) != std::string::npos;
}

}  // namespace forge::jinja
