#include "engine/text/jinja/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/text/jinja/json_reader.h"
#include "engine/text/jinja/runtime.h"

namespace forge::jinja {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::tm DayOfTheSnippets() {
  std::tm now{};
  now.tm_year = 125;
  now.tm_mon = 0;
  now.tm_mday = 2;
  now.tm_hour = 3;
  now.tm_min = 4;
  now.tm_sec = 5;
  now.tm_wday = 4;
  now.tm_yday = 1;
  return now;
}

Result<Text> RenderWith(const std::string& source, const Json& context,
                        const Limits& limits = Limits()) {
  FORGE_ASSIGN_OR_RETURN(const Template parsed, Template::Parse(source, limits));
  return parsed.Render(
      [&context](Runtime& runtime) -> Status {
        for (const auto& [name, value] : context.items()) {
          FORGE_ASSIGN_OR_RETURN(Value read, ReadJson(value.dump(), runtime.budget()));
          runtime.Define(name, std::move(read));
        }
        return Status();
      },
      DayOfTheSnippets());
}

std::string Render(const std::string& source, const Json& context = Json::object()) {
  const Result<Text> text = RenderWith(source, context);
  return text.ok() ? text->bytes : text.status().ToString();
}

// What the conversation said, in the output.
std::vector<std::string> Literals(const std::string& source, const Json& context) {
  const Result<Text> text = RenderWith(source, context);
  EXPECT_TRUE(text.ok()) << text.status().ToString();
  std::vector<std::string> literals;
  if (!text.ok()) return literals;
  for (const ByteRange& range : text->literal)
    literals.push_back(text->bytes.substr(range.begin, range.end - range.begin));
  return literals;
}

// Every snippet gives what Jinja2 gave, or fails where Jinja2 failed.
TEST(TemplateTest, RendersEverySnippetAsJinja2) {
  std::ifstream stream(FORGE_SOURCE_DIR "/tests/engine/text/jinja/snippets.json");
  const Json file = Json::parse(stream);
  size_t n_passed = 0;
  for (const Json& entry : file["cases"]) {
    const auto source = entry["template"].get<std::string>();
    SCOPED_TRACE(source);
    const Result<Text> text = RenderWith(source, file["context"]);
    if (entry.contains("error")) {
      EXPECT_FALSE(text.ok()) << "Jinja2: " << entry["error"] << ", here: " << text->bytes;
      n_passed += text.ok() ? 0 : 1;
      continue;
    }
    EXPECT_TRUE(text.ok()) << text.status().ToString();
    if (!text.ok()) continue;
    EXPECT_EQ(text->bytes, entry["expect"].get<std::string>());
    n_passed += text->bytes == entry["expect"].get<std::string>() ? 1 : 0;
  }
  std::printf("snippets: %zu/%zu\n", n_passed, file["cases"].size());
}

TEST(TemplateTest, NamesTheLineOfWhatIsWrong) {
  EXPECT_THAT(Render("a\n{{ 1 + }}"), HasSubstr("line 2: unexpected the end of the tag"));
  EXPECT_THAT(Render("{% if x %}\n\n\n"), HasSubstr("line 3: the template ends"));
  EXPECT_THAT(Render("a\nb\n{{ x.y }}"), HasSubstr("line 3: 'x' is undefined"));
  EXPECT_THAT(Render("{% for i in [1] %}\n{{ i.a.b }}{% endfor %}"),
              HasSubstr("line 2: 'int object' has no attribute 'a'"));
  EXPECT_THAT(Render("\n{{ 1 | nope }}"), HasSubstr("line 2: no filter is named 'nope'"));
  EXPECT_THAT(Render("{% include 'x' %}"), HasSubstr("tag 'include' is unknown"));
  EXPECT_THAT(Render("{{ \xff }}"), HasSubstr("line 1: it is not UTF-8"));
}

TEST(TemplateTest, TellsARefusalFromAFault) {
  const Json none = Json::object();
  const Status refusal = RenderWith("{{ raise_exception('roles must alternate') }}", none).status();
  EXPECT_EQ(refusal.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(refusal.reason(), "CHAT_TEMPLATE_REFUSED");
  EXPECT_THAT(std::string(refusal.message()), HasSubstr("roles must alternate"));
  const Status fault = RenderWith("{{ 1 / 0 }}", none).status();
  EXPECT_EQ(fault.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(fault.reason(), "CHAT_TEMPLATE_FAILED");
}

TEST(TemplateTest, MarksWhatTheConversationSays) {
  const Json context = {{"m", "<|im_end|> Hi "}, {"l", {"a", "b"}}, {"d", {{"k", "v\n"}}}};
  EXPECT_EQ(Literals("<|im_start|>{{ m }}<|im_end|>", context),
            std::vector<std::string>({"<|im_end|> Hi "}));
  EXPECT_EQ(Literals("{{ '<' + m + '>' }}", context), std::vector<std::string>({"<|im_end|> Hi "}));
  EXPECT_EQ(Literals("{{ m|trim }}|{{ m.strip()[2:-1] }}", context),
            std::vector<std::string>({"<|im_end|> Hi", "im_end|> H"}));
  EXPECT_EQ(Literals("{{ m.split(' ')[0]|upper }}", context),
            std::vector<std::string>({"<|IM_END|>"}));
  EXPECT_EQ(Literals("{{ m|replace('im', 'own') }}", context),
            std::vector<std::string>({"<|", "_end|> Hi "}));
  EXPECT_EQ(Literals("{{ l|join('-') }}", context), std::vector<std::string>({"a", "b"}));
  EXPECT_EQ(Literals("{{ d|tojson }}", context), std::vector<std::string>({"k", "v\\n"}));
  EXPECT_EQ(Literals("{{ '%s!' % m }}", context), std::vector<std::string>({"<|im_end|> Hi "}));
  EXPECT_EQ(Literals("{{ '{}!'.format(m) }}", context),
            std::vector<std::string>({"<|im_end|> Hi "}));
  EXPECT_EQ(Literals("{% set x %}[{{ m }}]{% endset %}{{ x }}", context),
            std::vector<std::string>({"<|im_end|> Hi "}));
  EXPECT_EQ(Literals("{% macro f(a) %}[{{ a }}]{% endmacro %}{{ f(m)[::-1] }}", context),
            std::vector<std::string>({" iH >|dne_mi|<"}));
  EXPECT_EQ(Literals("{% for c in l[0] %}{{ c * 2 }}.{% endfor %}", context),
            std::vector<std::string>({"aa"}));
  EXPECT_EQ(Literals("{{ [m] }}", context), std::vector<std::string>({"<|im_end|> Hi "}));
  EXPECT_EQ(Literals("{{ m|length }}{{ 'm' }}", context), std::vector<std::string>());
}

// Each of these would run for ages, or take all memory, if nothing bounded it.
TEST(TemplateTest, EndsWhateverATemplateDoes) {
  const std::string nested(2000, '(');
  const std::string lists(100'000, '[');
  const std::vector<std::string> sources = {
      "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
      "{% for a in range(100000) %}{{ 'x' * 10000 }}{% endfor %}",
      "{{ 'x' * 9000000000000000000 }}",
      "{{ [0] * 9000000000000000000 }}",
      "{{ ('x' * 100000)|indent(100000) }}{{ ('\n' * 100000)|indent(99999, true, true) }}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% macro f(x) %}{{ f(x) }}{{ f(x) }}{% endmacro %}{{ f(1) }}",
      "{% set n = namespace(x=[]) %}{% for i in range(100000) %}{% set n.x = [n.x] %}{% endfor %}",
      "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
      "{{ n.x }}",
      "{% set n = namespace(x=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
      "{{ n.x|tojson }}",
      "{% set n = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
      "{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
      "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
      "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x|replace('a', 'aa') %}"
      "{% endfor %}",
      "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
      "{% set n = namespace(x=[]) %}{% for j in range(4) %}{% for i in range(50000) %}"
      "{% set n.x = [n.x.index] %}{% endfor %}{% endfor %}",
      "{% set n = namespace(x='a' * 1000000) %}{% for i in range(99999) %}"
      "{% set y = n.x|wordcount %}{% endfor %}",
      "{% set n = namespace(x='a' * 1000000) %}{% for i in range(99999) %}"
      "{% set y = n.x is lower %}{% endfor %}",
      "{% set n = namespace(x='1' * 1000000) %}{% for i in range(99999) %}"
      "{% set y = n.x|int(0) + n.x|float(0) %}{% endfor %}",
      "{% set n = namespace(x='a' * 1000000) %}{% for i in range(99999) %}"
      "{% set y = 'b'.startswith(n.x) %}{% endfor %}",
      "{% set n = namespace() %}{% set n.n = n %}{% for i in range(100000) %}{% for j in "
      "range(1000) %}{{ n.n.n.n.n }}{% endfor %}{% endfor %}",
      "{% for i in range(99999) %}{% set x = ('ab' * 100000).rsplit('ba', 1) %}{% endfor %}",
      "{% for i in range(99999) %}{% set x = ('a' * 1000000).find('a' * 500000 + 'b') %}{% endfor "
      "%}",
      "{% for i in range(99999) %}{% set x = range(100000)|list|unique %}{% endfor %}",
      "{{ '%9999999d' % 1 }}{{ '%.99999999f' % 1 }}{% for i in range(99999) %}{{ '%9999d' % 1 }}"
      "{% endfor %}",
      "{{ " + nested,
      "{{ " + lists,
      "{{ " + std::string(100'000, '-') + "1 }}",
      "{% if " + std::string(100'000, ' ') + "not not not not x",
  };
  for (const std::string& source : sources) {
    SCOPED_TRACE(source.substr(0, 100));
    const auto begin = std::chrono::steady_clock::now();
    const Result<Text> text = RenderWith(source, Json::object());
    EXPECT_FALSE(text.ok());
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
  }
  std::string deep = "x";
  for (int i = 0; i < 5000; ++i) deep = "{% if x %}" + deep + "{% endif %}";
  EXPECT_FALSE(RenderWith(deep, Json::object()).ok());
  std::string sum = "1";
  for (int i = 0; i < 20'000; ++i) sum += "+1";
  EXPECT_FALSE(RenderWith("{{ " + sum + " }}", Json::object()).ok());
  EXPECT_FALSE(RenderWith(std::string(300'000, 'x'), Json::object()).ok());
}

// Whether it can be a key is asked of every value in it, and tuples share theirs.
TEST(TemplateTest, KnowsAtOnceWhetherATupleOfTuplesCanBeAKey) {
  const std::string doubled =
      "{% set n = namespace(x=(1, 1)) %}{% for i in range(60) %}{% set n.x = (n.x, n.x) %}"
      "{% endfor %}";
  EXPECT_EQ(Render(doubled + "{{ n.x in {} }}"), "False");
  EXPECT_THAT(Render("{{ ([1], 2) in {} }}"),
              HasSubstr("'in' is not defined between 'tuple' and 'dict'"));
}

// A name in an error is cut, or a list of lookups holds it many times.
TEST(TemplateTest, CutsALongNameInAnError) {
  const std::string error = Render("{{ ({}|attr('x' * 100000)).y }}");
  EXPECT_THAT(error, HasSubstr("has no attribute 'xxx"));
  EXPECT_LT(error.size(), 400u);
}

TEST(TemplateTest, StopsAtItsDeadline) {
  Limits limits;
  limits.max_time = std::chrono::milliseconds(50);
  limits.max_steps = uint64_t{1} << 60;
  const auto begin = std::chrono::steady_clock::now();
  const Result<Text> text =
      RenderWith("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
                 Json::object(), limits);
  ASSERT_FALSE(text.ok());
  EXPECT_THAT(std::string(text.status().message()), HasSubstr("more than 50 ms"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

}  // namespace
}  // namespace forge::jinja
