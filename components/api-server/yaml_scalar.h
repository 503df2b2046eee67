#pragma once
// How text is written as a YAML scalar: which style says it safely, as sigs.k8s.io/yaml chooses, so that a
// body reads like one of kube-apiserver's.

#include <string>
#include <string_view>

namespace rusternetes::api_server {

enum class ScalarStyle { plain, single_quoted, double_quoted, literal };

// `is_key`: a mapping's key, which must stay on one line.
ScalarStyle scalar_style(std::string_view text, bool is_key);

// A YAML 1.1 reader takes this text for something else when it is not quoted: a number, a boolean, a time,
// null.
bool resolves_to_other_type(std::string_view text);

// The order of a mapping's keys: letters after everything else, runs of digits by their number.
bool key_less(std::string_view a, std::string_view b);

}  // namespace rusternetes::api_server
