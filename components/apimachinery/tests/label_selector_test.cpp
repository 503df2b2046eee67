#include "apimachinery/label_selector.h"

#include <catch2/catch.hpp>
#include <map>

using namespace rusternetes;
using namespace rusternetes::apimachinery;

namespace {

using Labels = std::map<std::string, std::string, std::less<>>;

bool matches(const LabelSelector& selector, const Labels& labels) {
  return selector.matches([&](std::string_view key) -> std::optional<std::string_view> {
    const auto it = labels.find(key);
    return it == labels.end() ? std::nullopt : std::optional<std::string_view>(it->second);
  });
}
bool matches(std::string_view text, const Labels& labels) {
  return matches(LabelSelector::parse(text).value(), labels);
}
std::string error_of(const Result<LabelSelector>& result) { return result ? "" : result.error().message; }

}  // namespace

TEST_CASE("a label selector is printed in canonical form") {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {" \t", ""},
      {"a=b,c!=d,e in (x,y),!f,g>1", "a=b,c!=d,e in (x,y),!f,g>1"},
      {"z , a == b ,m notin(c, b,,a)", "a==b,m notin (,a,b,c),z"},
      {"a=", "a="},
      {"a=,b", "a=,b"},
      {"a in ()", "a in ()"},
      {"a in (,)", "a in ()"},
      {"in in (in,notin)", "in in (in,notin)"},
      {"a < 7", "a<7"},
      {"app.kubernetes.io/name=x", "app.kubernetes.io/name=x"}};
  for (const auto& [text, expected] : cases) {
    INFO(text);
    const auto selector = LabelSelector::parse(text);
    REQUIRE(selector);
    CHECK(selector->to_string() == expected);
    CHECK(LabelSelector::parse(selector->to_string()).value() == *selector);
  }
}

TEST_CASE("requirements match as Kubernetes defines them") {
  const Labels labels{{"app", "web"}, {"tier", ""}, {"size", "10"}};
  for (const char* text :
       {"", "app=web", "app==web", "app!=db", "none!=x", "app in (db,web)", "none notin (x)", "app", "!none",
        "tier=", "size>9", "size<11", "app=web,size>9"}) {
    INFO(text);
    CHECK(matches(text, labels));
  }
  for (const char* text : {"app=db", "app!=web", "none=x", "none in (x)", "app notin (web)", "none", "!app",
                           "app>1", "none<5", "size>10", "app=web,!size"}) {
    INFO(text);
    CHECK(!matches(text, labels));
  }
}

TEST_CASE("a bad label selector is refused with Kubernetes' text") {
  const std::string key_rule =
      "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
      "alphanumeric "
      "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
      "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
  const std::pair<const char*, std::string> cases[] = {
      {"a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"},
      {",", "found ',', expected: !, identifier, or 'end of string'"},
      {"a,", "found '', expected: identifier after ','"},
      {"a=b c", "found 'c', expected: ',' or 'end of string'"},
      {"!", "unable to parse requirement: found '', expected: identifier"},
      {"a in b", "unable to parse requirement: found 'b' expected: '('"},
      {"a in (b", "unable to parse requirement: found '', expected: ',' or ')'"},
      {"a in (=", "unable to parse requirement: found '=', expected: ',', ')' or identifier"},
      {"a in (b,(", "unable to parse requirement: found '(', expected: ',', or identifier"},
      {"a=!b", "unable to parse requirement: found '!', expected: identifier"},
      {"a>x",
       "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value "
       "must be an "
       "integer"},
      {"-a", "unable to parse requirement: <nil>: Invalid value: \"-a\": " + key_rule}};
  for (const auto& [text, expected] : cases) {
    INFO(text);
    const auto result = LabelSelector::parse(text);
    CHECK(error_of(result) == expected);
    if (!result) CHECK(result.error().reason == "BadRequest");
  }
  CHECK(error_of(LabelSelector::parse("a=-b"))
            .starts_with("unable to parse requirement: values[0][a]: Invalid value"));
  const FieldPath path("spec");
  CHECK(error_of(LabelSelector::parse("-a", path)) ==
        "unable to parse requirement: spec: Invalid value: \"-a\": " + key_rule);
}

TEST_CASE("a LabelSelector object becomes a selector") {
  CHECK(LabelSelector::from_parts(nullptr).value().selects_nothing());
  CHECK(!matches(LabelSelector::from_parts(nullptr).value(), {}));
  CHECK(!LabelSelector::nothing().empty());
  LabelSelectorParts parts;
  CHECK(LabelSelector::from_parts(&parts).value().empty());
  parts.match_labels = {{"b", "1"}, {"a", "2"}};
  parts.match_expressions = {
      {"c", "In", {"y", "x"}}, {"d", "NotIn", {"z"}}, {"e", "Exists", {}}, {"f", "DoesNotExist", {}}};
  CHECK(LabelSelector::from_parts(&parts).value().to_string() == "a=2,b=1,c in (x,y),d notin (z),e,!f");
  parts.match_expressions = {{"c", "Gt", {"1"}}};
  CHECK(error_of(LabelSelector::from_parts(&parts)) == "\"Gt\" is not a valid label selector operator");
  parts.match_expressions = {{"c", "In", {}}};
  CHECK(error_of(LabelSelector::from_parts(&parts)) ==
        "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty");
  parts.match_expressions = {{"c", "Exists", {"<"}}};
  CHECK(error_of(LabelSelector::from_parts(&parts))
            .starts_with("[values: Invalid value: [\"\\u003c\"]: values set must be empty for exists and "
                         "does not exist, "
                         "values[0][c]: Invalid value: \"<\": "));
}

TEST_CASE("a selector tells the one value it demands of a label") {
  const auto selector = LabelSelector::parse("a=1,b in (2),c in (3,4),d!=5").value();
  CHECK(selector.required_value("a") == "1");
  CHECK(selector.required_value("b") == "2");
  CHECK(!selector.required_value("c"));
  CHECK(!selector.required_value("d"));
  CHECK(!selector.required_value("e"));
  const std::vector<std::pair<std::string, std::string>> labels{{"b", "x"}, {"a", "y"}};
  auto from_labels = LabelSelector::from_labels(labels);
  CHECK(from_labels.to_string() == "a=y,b=x");
  from_labels.add({"aa", SelectorOperator::exists, {}});
  CHECK(from_labels.to_string() == "a=y,aa,b=x");
}

TEST_CASE("a stored LabelSelector is validated field by field") {
  const FieldPath path("spec");
  LabelSelectorParts parts;
  parts.match_labels = {{"app", "web"}};
  parts.match_expressions = {
      {"tier", "In", {}}, {"x", "Exists", {"y"}}, {"z", "Gt", {"1"}}, {"w", "In", {"-"}}};
  const auto errors = validate_label_selector(parts, path.child("selector"));
  REQUIRE(errors.size() == 4);
  CHECK(errors[0].message() ==
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' "
        "or 'NotIn'");
  CHECK(errors[1].message() ==
        "spec.selector.matchExpressions[1].values: Forbidden: may not be specified when `operator` is "
        "'Exists' or "
        "'DoesNotExist'");
  CHECK(errors[2].message() ==
        "spec.selector.matchExpressions[2].operator: Invalid value: \"Gt\": not a valid selector operator");
  CHECK(errors[3].field == "spec.selector.matchExpressions[3].values[0]");
  CHECK(validate_label_selector(parts, path, {.allow_invalid_values = true}).size() == 3);
}
