#include "engine/text/template_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace forge {
namespace {

std::string CodeOf(std::string_view source) {
  const std::optional<TemplateShape> shape = ReadTemplateShape(source);
  return shape ? shape->code : "(refused)";
}

TEST(TemplateShapeTest, IgnoresLayoutQuotesDashesAndComments) {
  const std::string expected = "{%ifx%}{{'a b'+message['role']}}{%endif%}";
  EXPECT_EQ(CodeOf("{%if x%}{{'a b'+message['role']}}{%endif%}"), expected);
  EXPECT_EQ(CodeOf("{%- if x -%}\n  {{- \"a b\" + message.role -}}\n{#- why -#}\n{%- endif -%}\n"),
            expected);
}

TEST(TemplateShapeTest, JoinsStringsAndResolvesEscapes) {
  const std::optional<TemplateShape> shape =
      ReadTemplateShape("{{ 'a' + \"\\n'\" + '+' + x + '\n' }}");
  ASSERT_TRUE(shape);
  EXPECT_EQ(shape->code, "{{'a\\n\\'+'+x+'\\n'}}");
  EXPECT_THAT(shape->literals, ::testing::ElementsAre("a\n'+", "\n"));
  EXPECT_EQ(CodeOf("{{ '+' }}"), "{{'+'}}");
  EXPECT_EQ(CodeOf("{{ x + '+' }}"), "{{x+'+'}}");
}

// The text outside tags, as Jinja prints it under trim_blocks and lstrip_blocks.
TEST(TemplateShapeTest, KeepsTheTextThatJinjaPrints) {
  EXPECT_EQ(CodeOf("a{{x}}\nb"),
            "\x02"
            "a\x03{{x}}\x02\nb\x03");
  EXPECT_EQ(CodeOf("{%if x%}\n  {%endif%}\n"), "{%ifx%}{%endif%}");
  EXPECT_EQ(CodeOf("{%if x%}\n\n{%endif%}"), "{%ifx%}\x02\n\x03{%endif%}");
  EXPECT_EQ(CodeOf("a  {%if x%}"),
            "\x02"
            "a  \x03{%ifx%}");
  EXPECT_EQ(CodeOf("{%if x%}\na  {%endif%}"),
            "{%ifx%}\x02"
            "a  \x03{%endif%}");
  EXPECT_EQ(CodeOf("a\n  {%if x%}"),
            "\x02"
            "a\n\x03{%ifx%}");
  EXPECT_EQ(CodeOf("  {{x}}"), "\x02  \x03{{x}}");
  EXPECT_EQ(CodeOf("{{x}}  {%if x%}"), "{{x}}\x02  \x03{%ifx%}");
  EXPECT_EQ(CodeOf("a \n{%- if x -%} \n b"),
            "\x02"
            "a\x03{%ifx%}\x02"
            "b\x03");
  EXPECT_EQ(CodeOf(""), "");
}

TEST(TemplateShapeTest, RefusesWhatIsNotClosed) {
  for (const char* source : {"{{", "{{ x", "{%", "{% if x }", "{#", "{# x", "{{ 'x }}", "{{ \"\\\"",
                             "{{ 'x\\", "{%-", "a {{ x }} {{"})
    EXPECT_EQ(CodeOf(source), "(refused)") << source;
}

TEST(TemplateShapeTest, ChangesOnlyWholeMemberNames) {
  EXPECT_EQ(CodeOf("{{ m.role }}{{ m.content }}"), "{{m['role']}}{{m['content']}}");
  EXPECT_EQ(CodeOf("{{ m.roles }}{{ m.content_type }}"), "{{m.roles}}{{m.content_type}}");
}

}  // namespace
}  // namespace forge
