#include "client/nearest.h"

#include <gtest/gtest.h>

namespace forge::client {
namespace {

TEST(NearestTest, FindsWhatWasMistypedAndNothingThatIsFarAway) {
  EXPECT_EQ(Nearest("lod", {"list", "load", "pin"}), "load");
  EXPECT_EQ(Nearest("temperatur", {"seed", "temperature"}), "temperature");
  EXPECT_EQ(Nearest("fit", {"pin", "list"}), "") << "two letters of three";
  EXPECT_EQ(Nearest("penalty", {"penalty_window", "penalty_of"}), "") << "either might be meant";
  EXPECT_EQ(Nearest("x", {}), "");
}

}  // namespace
}  // namespace forge::client
