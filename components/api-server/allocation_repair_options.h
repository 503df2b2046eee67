#pragma once
#include <chrono>

namespace rusternetes::api_server {

struct AllocationRepairOptions {
  // kube-apiserver's rounds; node ports are looked at in these only.
  std::chrono::milliseconds interval{180'000};
  // Changes come in numbers: it is looked once for all of such a time.
  std::chrono::milliseconds settle{1'000};
};

}  // namespace rusternetes::api_server
