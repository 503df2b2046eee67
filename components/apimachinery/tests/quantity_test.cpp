#include "apimachinery/quantity.h"

#include <catch2/catch.hpp>

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {
Quantity q(std::string_view text) { return Quantity::parse(text).value(); }
std::string canonical(std::string_view text) { return q(text).to_string(); }
}  // namespace

TEST_CASE("a quantity is printed in Kubernetes' canonical form") {
  const std::pair<const char*, const char*> cases[] = {
      {"0", "0"},
      {"-0", "0"},
      {"000", "0"},
      {"0Ki", "0"},
      {".", "0"},
      {"m", "0"},
      {"0e-100", "0"},
      {"100m", "100m"},
      {"1000m", "1"},
      {"1500m", "1500m"},
      {"0.5", "500m"},
      {"1.5", "1500m"},
      {"0.1", "100m"},
      {"1000", "1k"},
      {"1024", "1024"},
      {"1000000", "1M"},
      {"1200k", "1200k"},
      {"100000n", "100u"},
      {"12e6", "12e6"},
      {"12E6", "12E6"},
      {"1e1", "10"},
      {"1e4", "10e3"},
      {"1.2e3", "1200"},
      {"1e-3", "1e-3"},
      {"1E", "1E"},
      {"1000P", "1E"},
      {"1Ki", "1Ki"},
      {"1024Ki", "1Mi"},
      {"8Ki", "8Ki"},
      {"1.5Gi", "1536Mi"},
      {"0.5Ki", "512"},
      {"0.001Ki", "1024m"},
      {"0.9Ki", "921600m"},
      {"1.1Mi", "1153433600m"},
      {"1023Mi", "1023Mi"},
      {"-1.5Gi", "-1536Mi"},
      {"-100m", "-100m"},
      {"16Ei", "9223372036854775807"},
      {"8191Pi", "8191Pi"},
      {"9223372036854775808", "9223372036854775808"},
      {"123456789012345678901234567890", "123456789012345678901234567890"},
      {"1e-20", "1e-9"},
      {"0.0000000001", "1n"},
      {"-0.0000000001", "-1n"},
      {"1.0000000001", "1000000001n"}};
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(canonical(text) == expected);
  }
}

TEST_CASE("text that Kubernetes takes as canonical is kept as written") {
  for (const char* text : {"1.500", "+5", "05", "0100m", "1E3", "+1Ki", "-5", "001Mi"})
    CHECK(canonical(text) == text);
}

TEST_CASE("beyond the last suffix the text loses its suffix, as in Kubernetes") {
  CHECK(canonical("10000E") == "10");
  CHECK(q("10000E") > q("9999E"));
}

TEST_CASE("bad quantities are refused with Kubernetes' texts") {
  const std::string format =
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
  const std::string suffix = "unable to parse quantity's suffix";
  const std::string numeric = "unable to parse numeric part of quantity";
  const std::pair<const char*, std::string> cases[] = {
      {"", format},      {"1.2.3", format},  {"5 m", format},
      {" 5", format},    {"abc", format},    {"1x", format},
      {"1-1m", format},  {"1ki", suffix},    {"1mm", suffix},
      {"5e", suffix},    {"1KiKi", suffix},  {"1m5", suffix},
      {"1-", suffix},    {"1+5", suffix},    {"1e99999999999999999999", suffix},
      {"e-10", numeric}, {"-.e-10", numeric}};
  for (const auto& [text, expected] : cases) {
    INFO(text);
    const auto result = Quantity::parse(text);
    REQUIRE(!result);
    CHECK(result.error().message == expected);
    CHECK(result.error().code == 400);
  }
}

TEST_CASE("numbers that would take unbounded memory are refused, and tiny ones become 1n") {
  CHECK(!Quantity::parse("1e2000000000"));
  CHECK(canonical("951e996") == "951e996");
  CHECK(!Quantity::parse("951000e999"));  // as its canonical form, 951e1002
  CHECK(!Quantity::parse("1234567890123456789e2000000000"));
  CHECK(!Quantity::parse(std::string(100'000, '9')));
  CHECK(canonical("1234567890123456789e-2000000000") == "1e-9");
  CHECK(canonical("0." + std::string(100'000, '0') + "1Ki") == "1n");
  CHECK(canonical(std::string(100'000, '0') + "7") == std::string(100'000, '0') + "7");
}

TEST_CASE("values are rounded away from zero and stay inside int64") {
  CHECK(q("1500m").value() == 2);
  CHECK(q("1500m").milli_value() == 1500);
  CHECK(q("1n").value() == 1);
  CHECK(q("1n").milli_value() == 1);
  CHECK(q("-1500m").value() == -2);
  CHECK(q("1.5Gi").value() == 1610612736);
  CHECK(q("0.1Ki").milli_value() == 102400);
  CHECK(q("1E").value() == 1'000'000'000'000'000'000);
  CHECK(q("1E").milli_value() == INT64_MAX);
  CHECK(q("1e20").value() == INT64_MAX);
  CHECK(q("-1e20").value() == INT64_MIN);
  CHECK(q("99999999999999999999").milli_value() == INT64_MAX);
  CHECK(q("5k").as_int64() == 5000);
  CHECK(!q("5m").as_int64());
  CHECK(q("250m").approximate() == Approx(0.25));
}

TEST_CASE("quantities compare by value across notations and sizes") {
  CHECK(q("1Ki") == q("1024"));
  CHECK(q("1000m") == q("1"));
  CHECK(q("0.1Ki") == q("102.4"));
  CHECK(q("1k") < q("1Ki"));
  CHECK(q("-1") < q("0"));
  CHECK(q("-2") < q("-1999m"));
  CHECK(q("1n") > q("0"));
  CHECK(q("99999999999999999999") > q("9223372036854775807"));
  CHECK(q("1e100") > q("1E"));
  CHECK(q("1e100") > q("99999999999999999999"));
}

TEST_CASE("sums and differences are exact, and a zero takes the other's format") {
  const auto sum = [](std::string_view a, std::string_view b) {
    Quantity out = q(a);
    out.add(q(b));
    return out.to_string();
  };
  const auto difference = [](std::string_view a, std::string_view b) {
    Quantity out = q(a);
    out.sub(q(b));
    return out.to_string();
  };
  CHECK(sum("100m", "900m") == "1");
  CHECK(sum("1Gi", "512Mi") == "1536Mi");
  CHECK(sum("0", "1Gi") == "1Gi");
  CHECK(sum("1", "1Gi") == "1073741825");
  CHECK(sum("1Gi", "500m") == "1073741824500m");
  CHECK(sum("9223372036854775807", "1") == "9223372036854775808");
  CHECK(difference("1Gi", "1Gi") == "0");
  CHECK(difference("1", "1n") == "999999999n");
  CHECK(difference("0", "2Ki") == "-2Ki");
  CHECK(difference("9223372036854775808", "1") == "9223372036854775807");
  Quantity product = q("1500m");
  product.mul(4);
  CHECK(product.to_string() == "6");
  product.mul(INT64_MAX);
  product.mul(10);
  CHECK(product.to_string() == "553402322211286548420");
  product.neg();
  CHECK(product.sign() == -1);
}

TEST_CASE("rounding up tells whether something was lost and forgets the written text") {
  Quantity fine = q("1500u");
  CHECK(!fine.round_up(-3));
  CHECK(fine.to_string() == "2m");
  Quantity whole = q("1.500");
  CHECK(whole.round_up(-3));
  CHECK(whole.to_string() == "1.500");
  CHECK(!whole.round_up(0));
  CHECK(whole.to_string() == "2");
}

TEST_CASE("quantities are made from numbers") {
  CHECK(Quantity(2048, QuantityFormat::binary_si).to_string() == "2Ki");
  CHECK(Quantity(1000, QuantityFormat::binary_si).to_string() == "1k");
  CHECK(Quantity(INT64_MIN).to_string() == "-9223372036854775808");
  CHECK(Quantity::milli(2500).to_string() == "2500m");
  CHECK(Quantity::scaled(12, 6, QuantityFormat::decimal_exponent).to_string() == "12e6");
  CHECK(Quantity().to_string() == "0");
}

TEST_CASE("a decoder drops white space around a quantity") {
  CHECK(canonical_quantity(" 1500m\n").value() == "1500m");
  CHECK(canonical_quantity("\xC2\xA0"
                           "1000\xE3\x80\x80")
            .value() == "1k");
  CHECK(!canonical_quantity("1 0"));
  CHECK(!canonical_quantity(" "));
}
