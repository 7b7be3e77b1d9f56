#pragma once

#include <forge/v1/forge.pb.h>

#include "client/terminal/progress_bar.h"

namespace forge::client {

// Shows how far a load is, or what it waits for.
void ShowLoadProgress(const v1::LoadModelResponse::Progress& progress, ProgressBar& bar);

}  // namespace forge::client
