// SPDX-License-Identifier: MIT
// What a build leaves out. The same for all sources of a build. Only preprocessor lines.
//
// ULNN_CELLS_CFC=1: CfC and dense layers only, without mode `pure` and sparse streams; other files
// are refused as not supported (SPEC section 6).
// ULNN_BANDS=0: without ulnn_bands.h, as where only CfC and dense layers are.
#ifndef ULNN_BUILD_H
#define ULNN_BUILD_H

#ifndef ULNN_CELLS_CFC
#define ULNN_CELLS_CFC 0
#endif

#ifndef ULNN_BANDS
#define ULNN_BANDS (!ULNN_CELLS_CFC)
#endif

#endif // ULNN_BUILD_H
