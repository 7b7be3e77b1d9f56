#pragma once

#include "kernels/api/embed.h"
#include "kernels/api/stream.h"

namespace forge {

// A token outside of the table gets NaN.
Status HipEmbed(const EmbedArgs& args, Stream& stream);

}  // namespace forge
