#include "apimachinery/field_selector.h"

#include <catch2/catch.hpp>
#include <map>

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {
bool matches(std::string_view text, const std::map<std::string, std::string, std::less<>>& fields) {
  return FieldSelector::parse(text).value().matches([&](std::string_view field) -> std::string_view {
    const auto it = fields.find(field);
    return it == fields.end() ? std::string_view{} : it->second;
  });
}
std::string error_of(const Result<FieldSelector>& result) { return result ? "" : result.error().message; }
}  // namespace

TEST_CASE("a field selector is sorted, normalized and matched") {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {",,", ""},
      {"=", ""},
      {"status.phase!=Running,metadata.name==x", "metadata.name=x,status.phase!=Running"},
      {"a=", "a="},
      {"a!=", "a!="},
      {"a=b\\,c\\=d\\\\", "a=b\\,c\\=d\\\\"}};
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(FieldSelector::parse(text).value().to_string() == expected);
  }
  CHECK(matches("metadata.name=x,status.phase!=Running", {{"metadata.name", "x"}}));
  CHECK(!matches("metadata.name=x,status.phase!=Running",
                 {{"metadata.name", "x"}, {"status.phase", "Running"}}));
  CHECK(matches("spec.nodeName=", {}));
  CHECK(!matches("spec.nodeName!=", {}));
  CHECK(matches("a=b\\,c", {{"a", "b,c"}}));
}

TEST_CASE("a bad field selector is refused with Kubernetes' text") {
  CHECK(error_of(FieldSelector::parse("b=1,a")) == "invalid selector: 'b=1,a'; can't understand 'a'");
  CHECK(error_of(FieldSelector::parse("a!b")) == "invalid selector: 'a!b'; can't understand 'a!b'");
  CHECK(error_of(FieldSelector::parse("a=b=c")) ==
        "invalid field selector: unescaped character in value: 61");
  CHECK(error_of(FieldSelector::parse("a=\\x")) == "invalid field selector: invalid escape sequence: \\x");
  CHECK(error_of(FieldSelector::parse("a=x\\")) == "invalid field selector: invalid escape sequence: \\");
  CHECK(FieldSelector::parse("a").error().code == 400);
}

TEST_CASE("a field selector tells what it demands and can be transformed") {
  const auto selector = FieldSelector::parse("a=1,b!=2").value();
  CHECK(selector.required_value("a") == "1");
  CHECK(!selector.required_value("b"));
  CHECK(FieldSelector::field_equals("x", "y,z").to_string() == "x=y\\,z");
  const auto renamed = selector.transform([](FieldRequirement& requirement) -> Result<> {
    if (requirement.field == "a") requirement = {};
    requirement.value += requirement.field;
    return {};
  });
  CHECK(renamed.value().to_string() == "b!=2b");
  const auto refused = selector.transform(
      [](FieldRequirement&) -> Result<> { return Status(400, "BadRequest", "field label not supported"); });
  CHECK(error_of(refused) == "field label not supported");
}
