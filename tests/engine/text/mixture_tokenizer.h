#pragma once

#include <memory>
#include <string_view>

#include "engine/text/tokenizer.h"

namespace forge::testing {

// The tokenizer of the file NAME.gguf that write_mixtures writes: `name` is that of a pre-tokenizer
// of byte-level BPE, "sentencepiece" with or without "-unspaced", or "wordpiece" with or without
// "-accented" or "-cased".
std::unique_ptr<Tokenizer> MixtureTokenizer(std::string_view name);

}  // namespace forge::testing
