// SPDX-License-Identifier: MIT
// What a build leaves out. ULNN_CELLS_CFC=1: CfC and dense layers only, without mode `pure` and
// sparse streams; other files are refused as not supported (SPEC section 6). The same for all
// sources of a build. Only preprocessor lines.
#ifndef ULNN_BUILD_H
#define ULNN_BUILD_H

#ifndef ULNN_CELLS_CFC
#define ULNN_CELLS_CFC 0
#endif

#endif // ULNN_BUILD_H
