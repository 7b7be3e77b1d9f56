#include "kernels/formats/codebooks.h"

#include "kernels/formats/codebook_tables.h"

namespace forge {

constinit const Codebook<8, 256> kIq2XxsCodebook = codebook_tables::Iq2Xxs();
constinit const Codebook<8, 512> kIq2XsCodebook = codebook_tables::Iq2Xs();
constinit const Codebook<8, 1024> kIq2SCodebook = codebook_tables::Iq2S();
constinit const Codebook<4, 256> kIq3XxsCodebook = codebook_tables::Iq3Xxs();
constinit const Codebook<4, 512> kIq3SCodebook = codebook_tables::Iq3S();
constinit const Codebook<8, 2048> kIq1Codebook = codebook_tables::Iq1();

}  // namespace forge
