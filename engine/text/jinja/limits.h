#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace forge::jinja {

// What a template may use up. Templates come out of model files that strangers made, so each bound
// holds whatever the template does; published templates stay below a hundredth of them.
struct Limits {
  size_t max_template_bytes = 256 * 1024;
  uint32_t max_nesting = 150;      // of tags, brackets and operators in the source
  uint32_t max_run_depth = 400;    // of nested evaluations, macro calls included
  uint32_t max_value_depth = 100;  // of lists and dicts in one another
  uint64_t max_steps = 5'000'000;  // one per operation, and one per 64 bytes it reads
  uint64_t max_output_bytes = uint64_t{16} << 20;
  uint64_t max_allocated_bytes = uint64_t{128} << 20;  // of all values made, freed ones too
  std::chrono::milliseconds max_time{5000};
};

}  // namespace forge::jinja
