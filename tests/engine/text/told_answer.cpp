#include "tests/engine/text/told_answer.h"

#include <gtest/gtest.h>

#include <ostream>
#include <utility>
#include <vector>

namespace forge::testing {

std::ostream& operator<<(std::ostream& out, const Told& told) {
  return out << "content '" << told.content << "', reasoning '" << told.reasoning << "', calls '"
             << told.calls << "', pieces " << told.pieces;
}

Told Read(const std::string& answer, const ChatOutputOptions& options, size_t n_bytes_each) {
  ChatOutputParser parser(options);
  Told told;
  std::vector<TextPiece> pieces;
  const auto keep = [&pieces](TextPiece piece) {
    if (piece.text.empty()) return;
    if (pieces.empty() || pieces.back().kind != piece.kind) pieces.push_back({piece.kind, {}});
    pieces.back().text += piece.text;
  };
  for (size_t i = 0; i < answer.size(); i += n_bytes_each) {
    parser.Add(answer.substr(i, n_bytes_each));
    keep(parser.Take());
  }
  parser.Finish();
  for (TextPiece piece = parser.Take(); !piece.text.empty(); piece = parser.Take())
    keep(std::move(piece));
  told.content = parser.content();
  told.reasoning = parser.reasoning();
  for (const ToolCall& call : parser.tool_calls())
    told.calls += call.id + ":" + call.name + call.arguments_json + ";";
  for (const TextPiece& piece : pieces)
    told.pieces += std::string(1, "CRT"[static_cast<size_t>(piece.kind)]) + "(" + piece.text + ")";
  return told;
}

Told Read(const std::string& answer, const ChatOutputOptions& options) {
  const Told told = Read(answer, options, 1);
  for (const size_t n : {2u, 3u, 7u, 1000u}) EXPECT_EQ(Read(answer, options, n), told) << n;
  return told;
}

Told Tools(const std::string& answer, ToolFormat format) {
  return Read(answer, {.tool_format = format});
}

Told Content(const std::string& text) {
  return {text, "", "", text.empty() ? "" : "C(" + text + ")"};
}

}  // namespace forge::testing
