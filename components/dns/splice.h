#pragma once
// Takes the records out of another server's answer, so that they can stand in one of ours. Their data holds
// compressed names of many forms, which ldns knows.

#include <string_view>

#include "dns/response.h"

namespace rusternetes::dns {

// Appends the answer section of `message`. False: it cannot be read.
bool append_answers(std::string_view message, Response& response);

}  // namespace rusternetes::dns
