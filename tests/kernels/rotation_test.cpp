// How rope_append normalises and turns heads; rope_append_test.cpp has how it stores them.

#include "kernels/reference/reference.h"
#include "tests/kernels/op_test.h"

namespace forge {
namespace {

using testing::GuardedArray;
using testing::OpRig;

class RotationTest : public ::testing::TestWithParam<testing::OpRigKind> {};

// theta^(-2 i / rotary_dim), as models use it.
std::vector<float> Frequencies(int rotary_dim, double theta = 10000.0) {
  std::vector<float> frequencies;
  for (int i = 0; i < rotary_dim / 2; ++i)
    frequencies.push_back(static_cast<float>(std::pow(theta, -2.0 * i / rotary_dim)));
  return frequencies;
}

// Runs the op on queries and keys of n_tokens sequences that each append one token, with a float32
// cache of one position for each.
class Scene {
 public:
  Scene(const ReferenceRopeShape& shape, float scale, uint32_t seed)
      : shape_(shape),
        random_(seed),
        frequencies_(Frequencies(static_cast<int>(shape.rotary_dim))),
        x_(testing::NormalFloats(CountElements(), random_)),
        values_(static_cast<size_t>(shape.n_tokens * shape.n_heads), 1.0f),
        cache_keys_(CountElements()),
        cache_values_(values_.size()) {
    const auto n_tokens = static_cast<int32_t>(shape.n_tokens);
    for (int32_t t = 0; t < n_tokens; ++t) {
      positions_.push_back(static_cast<int32_t>(random_() % 1'000'001));
      indices_.push_back(t);
    }
    first_token_ = indices_;
    first_token_.push_back(n_tokens);
    args_.batch = {.n_tokens = n_tokens,
                   .n_sequences = n_tokens,
                   .positions = positions_.data(),
                   .token_sequence = indices_.data(),
                   .first_token = first_token_.data(),
                   .block_tables = indices_.data(),
                   .max_blocks = 1};
    args_.cache = {.keys = cache_keys_.data(),
                   .values = cache_values_.data(),
                   .dtype = KvDType::kF32,
                   .n_blocks = n_tokens,
                   .block_tokens = 1,
                   .n_kv_heads = static_cast<int>(shape.n_heads),
                   .head_dim = static_cast<int>(shape.head_dim),
                   .value_dim = 1};
    args_.n_heads = static_cast<int>(shape.n_heads);
    args_.rotation = {.frequencies = frequencies_.data(),
                      .rotary_dim = static_cast<int>(shape.rotary_dim),
                      .halves = shape.halves,
                      .scale = scale};
  }

  size_t CountElements() const {
    return static_cast<size_t>(shape_.n_tokens * shape_.n_heads * shape_.head_dim);
  }
  const std::vector<float>& x() const { return x_; }
  std::mt19937& random() { return random_; }
  RopeAppendArgs& args() { return args_; }
  std::vector<double> Reference(std::span<const float> x) const {
    std::vector<double> want(x.size());
    ReferenceRope(x.data(), positions_.data(), frequencies_.data(),
                  static_cast<double>(args_.rotation.scale), want.data(), shape_);
    return want;
  }
  // What the op makes of x as queries; checks that it makes the same of x as keys.
  std::vector<float> Run(OpRig& rig) {
    GuardedArray<float> queries(CountElements());
    queries.Assign(x_);
    std::vector<float> keys = x_;
    args_.queries = queries.data();
    args_.keys = keys.data();
    args_.values = values_.data();
    const Status status = rig.Run(args_);
    EXPECT_TRUE(status.ok()) << status.ToString();
    EXPECT_TRUE(queries.GuardsIntact());
    const std::vector<float> result(queries.span().begin(), queries.span().end());
    ExpectKeys(rig, result);
    return result;
  }

 private:
  void ExpectKeys(const OpRig& rig, const std::vector<float>& want) {
    size_t i = 0;
    for (int64_t t = 0; t < shape_.n_tokens; ++t) {
      for (int64_t head = 0; head < shape_.n_heads; ++head) {
        const testing::KvPlace place = rig.KeyPlace(args_.cache, t, head, 0);
        for (int64_t d = 0; d < shape_.head_dim; ++d, ++i)
          ASSERT_EQ(reinterpret_cast<const float*>(place.elements)[d * place.stride], want[i])
              << "token " << t << ", head " << head << ", dimension " << d;
      }
    }
  }

  const ReferenceRopeShape shape_;
  std::mt19937 random_;
  const std::vector<float> frequencies_;
  const std::vector<float> x_;
  const std::vector<float> values_;
  std::vector<float> cache_keys_, cache_values_;
  std::vector<int32_t> positions_;
  std::vector<int32_t> indices_;  // sequence and block of each token
  std::vector<int32_t> first_token_;
  RopeAppendArgs args_;
};

void CheckShape(OpRig& rig, const ReferenceRopeShape& shape, float scale, uint32_t seed) {
  SCOPED_TRACE("n_tokens " + std::to_string(shape.n_tokens) + ", n_heads " +
               std::to_string(shape.n_heads) + ", head_dim " + std::to_string(shape.head_dim) +
               ", rotary_dim " + std::to_string(shape.rotary_dim) +
               (shape.halves ? ", halves" : ", neighbours") + ", seed " + std::to_string(seed));
  Scene scene(shape, scale, seed);
  const std::vector<float> y = scene.Run(rig);
  EXPECT_TRUE(testing::Near(y, scene.Reference(scene.x()), testing::kRopeTolerance));
  for (int64_t row = 0; row < shape.n_tokens * shape.n_heads; ++row) {
    const auto rest = static_cast<size_t>(row * shape.head_dim + shape.rotary_dim);
    const auto bytes = static_cast<size_t>(shape.head_dim - shape.rotary_dim) * sizeof(float);
    ASSERT_EQ(std::memcmp(y.data() + rest, scene.x().data() + rest, bytes), 0)
        << "elements beyond rotary_dim changed in row " << row;
  }
}

TEST_P(RotationTest, MatchesReferenceUpToPositionOneMillion) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 1;
  for (const bool halves : {false, true}) {
    for (const int head_dim : {2, 6, 16, 30, 48, 64, 80, 128, 256, 576}) {
      for (const int n_heads : {1, 3})
        CheckShape(*rig,
                   {.n_tokens = 2,
                    .n_heads = n_heads,
                    .head_dim = head_dim,
                    .rotary_dim = head_dim,
                    .halves = halves},
                   1.0f, seed++);
    }
    CheckShape(*rig,
               {.n_tokens = 70, .n_heads = 9, .head_dim = 64, .rotary_dim = 64, .halves = halves},
               1.0f, seed++);
  }
}

TEST_P(RotationTest, LeavesElementsBeyondTheRotaryWidthUntouched) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 100;
  for (const bool halves : {false, true})
    for (const int rotary_dim : {0, 2, 18, 32, 62})
      CheckShape(
          *rig,
          {.n_tokens = 3, .n_heads = 2, .head_dim = 64, .rotary_dim = rotary_dim, .halves = halves},
          1.0f, seed++);
}

TEST_P(RotationTest, ScalesRotatedElementsOnly) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  for (const bool halves : {false, true})
    CheckShape(*rig,
               {.n_tokens = 3, .n_heads = 2, .head_dim = 32, .rotary_dim = 24, .halves = halves},
               1.1386294f, 7);
}

// Queries and keys may have norms of their own, or none.
TEST_P(RotationTest, NormalisesEachHeadFirst) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 200;
  for (const int head_dim : {2, 48, 64, 100, 128, 256, 576}) {
    const ReferenceRopeShape shape = {.n_tokens = 3,
                                      .n_heads = 5,
                                      .head_dim = head_dim,
                                      .rotary_dim = head_dim / 2 / 2 * 2,
                                      .halves = seed % 2 == 0};
    SCOPED_TRACE("head_dim " + std::to_string(head_dim) + ", seed " + std::to_string(seed));
    Scene scene(shape, 1.0f, seed++);
    const auto n_dims = static_cast<size_t>(head_dim);
    const std::vector<float> norm = testing::NormalFloats(n_dims, scene.random());
    std::vector<double> normed(scene.x().size());
    ReferenceRmsNorm(scene.x().data(), norm.data(), nullptr, normed.data(), 3 * 5, head_dim, 1e-5);
    scene.args().query_norm = scene.args().key_norm = norm.data();
    scene.args().norm_epsilon = 1e-5f;
    const std::vector<float> y = scene.Run(*rig);
    const std::vector<float> rounded(normed.begin(), normed.end());
    EXPECT_TRUE(testing::Near(y, scene.Reference(rounded), testing::kRopeTolerance));
  }
}

// As Command R+ and StableLM 2 12B: centred, and by weights of its own.
TEST_P(RotationTest, NormalisesEachHeadByItsOwnWeights) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 230;
  for (const int head_dim : {2, 48, 64, 100, 256}) {
    for (const int n_tokens : {2, 20}) {
      const ReferenceRopeShape shape = {.n_tokens = n_tokens,
                                        .n_heads = 9,
                                        .head_dim = head_dim,
                                        .rotary_dim = head_dim / 2 / 2 * 2,
                                        .halves = seed % 2 == 0};
      SCOPED_TRACE("head_dim " + std::to_string(head_dim) + ", seed " + std::to_string(seed));
      Scene scene(shape, 1.0f, seed++);
      const auto n_dims = static_cast<size_t>(head_dim);
      const std::vector<float> norms = testing::NormalFloats(9 * n_dims, scene.random());
      std::vector<double> normed(scene.x().size());
      for (size_t head = 0; head < static_cast<size_t>(n_tokens) * 9; ++head)
        ReferenceLayerNorm(scene.x().data() + head * n_dims, norms.data() + head % 9 * n_dims,
                           nullptr, nullptr, normed.data() + head * n_dims, 1, head_dim, 1e-5);
      scene.args().query_norm = scene.args().key_norm = norms.data();
      scene.args().norm_epsilon = 1e-5f;
      scene.args().heads_differ = scene.args().centres_heads = true;
      const std::vector<float> y = scene.Run(*rig);
      const std::vector<float> rounded(normed.begin(), normed.end());
      EXPECT_TRUE(testing::Near(y, scene.Reference(rounded), testing::kLayerNormTolerance));
    }
  }
}

TEST_P(RotationTest, NormalisesWhatItTurnedWhereNormsComeLast) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 250;
  for (const int head_dim : {2, 48, 64, 100, 128, 256}) {
    for (const int n_tokens : {1, 20}) {
      const ReferenceRopeShape shape = {.n_tokens = n_tokens,
                                        .n_heads = 9,
                                        .head_dim = head_dim,
                                        .rotary_dim = head_dim / (seed % 3 == 0 ? 2 : 1) / 2 * 2,
                                        .halves = seed % 2 == 0};
      SCOPED_TRACE("head_dim " + std::to_string(head_dim) + ", seed " + std::to_string(seed));
      Scene scene(shape, 1.5f, seed++);
      const auto n_dims = static_cast<size_t>(head_dim);
      const std::vector<float> norm = testing::NormalFloats(n_dims, scene.random());
      const std::vector<double> turned = scene.Reference(scene.x());
      const std::vector<float> rounded(turned.begin(), turned.end());
      std::vector<double> want(turned.size());
      ReferenceRmsNorm(rounded.data(), norm.data(), nullptr, want.data(), shape.n_tokens * 9,
                       head_dim, 1e-5);
      scene.args().query_norm = scene.args().key_norm = norm.data();
      scene.args().norm_epsilon = 1e-5f;
      scene.args().turns_first = true;
      EXPECT_TRUE(testing::Near(scene.Run(*rig), want, testing::kTurnedNormTolerance));
    }
  }
}

TEST_P(RotationTest, NormalisesQueriesOrKeysAlone) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  const ReferenceRopeShape shape = {
      .n_tokens = 2, .n_heads = 2, .head_dim = 64, .rotary_dim = 0, .halves = false};
  const std::vector<float> twos(64, 2.0f);
  for (const bool of_queries : {true, false}) {
    Scene scene(shape, 1.0f, 300);
    std::vector<float> queries = scene.x(), keys = scene.x();
    const std::vector<float> values(4, 1.0f);
    scene.args().queries = queries.data();
    scene.args().keys = keys.data();
    scene.args().values = values.data();
    (of_queries ? scene.args().query_norm : scene.args().key_norm) = twos.data();
    ASSERT_TRUE(rig->Run(scene.args()).ok());
    const testing::KvPlace key = rig->KeyPlace(scene.args().cache, 0, 0, 0);
    const float stored = *reinterpret_cast<const float*>(key.elements);
    EXPECT_EQ(queries[0] == scene.x()[0], !of_queries);
    EXPECT_EQ(stored == scene.x()[0], of_queries);
  }
}

// As layers do that attend to the cache of another.
TEST_P(RotationTest, MakesTheSameOfQueriesAloneAndStoresNothing) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  uint32_t seed = 400;
  for (const int n_tokens : {1, 20}) {
    for (const bool turns_first : {false, true}) {
      const ReferenceRopeShape shape = {
          .n_tokens = n_tokens, .n_heads = 9, .head_dim = 64, .rotary_dim = 48, .halves = true};
      SCOPED_TRACE("n_tokens " + std::to_string(n_tokens) + ", seed " + std::to_string(seed));
      Scene scene(shape, 1.0f, seed++);
      const std::vector<float> norm = testing::NormalFloats(64, scene.random());
      scene.args().query_norm = scene.args().key_norm = norm.data();
      scene.args().norm_epsilon = 1e-5f;
      scene.args().turns_first = turns_first;
      const std::vector<float> want = scene.Run(*rig);
      std::vector<float> queries = scene.x(), cache(scene.x().size(), 7.0f);
      RopeAppendArgs args = scene.args();
      args.queries = queries.data();
      args.keys = nullptr;
      args.values = nullptr;
      args.cache.keys = cache.data();
      ASSERT_TRUE(rig->Run(args).ok());
      EXPECT_EQ(queries, want);
      EXPECT_EQ(cache, std::vector<float>(cache.size(), 7.0f));
    }
  }
}

TEST_P(RotationTest, RefusesBadArguments) {
  const std::unique_ptr<OpRig> rig = GetParam().Create();
  Scene scene({.n_tokens = 1, .n_heads = 1, .head_dim = 8, .rotary_dim = 8, .halves = false}, 1.0f,
              1);
  std::vector<float> queries(8), keys(8), values(1);
  const auto code_with = [&](auto change) {
    RopeAppendArgs args = scene.args();
    args.queries = queries.data();
    args.keys = keys.data();
    args.values = values.data();
    change(args);
    return rig->Run(args).code();
  };
  EXPECT_EQ(code_with([](RopeAppendArgs&) {}), StatusCode::kOk);
  const StatusCode refused = StatusCode::kInvalidArgument;
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.queries = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.n_heads = -1; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.norm_epsilon = -1.0f; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.norm_epsilon = NAN; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.rotation.frequencies = nullptr; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.rotation.rotary_dim = 7; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.rotation.rotary_dim = 10; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.rotation.rotary_dim = -2; }), refused);
  EXPECT_EQ(code_with([](RopeAppendArgs& a) { a.rotation.scale = INFINITY; }), refused);
}

INSTANTIATE_TEST_SUITE_P(Devices, RotationTest, ::testing::ValuesIn(testing::OpRigKinds()),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace forge
