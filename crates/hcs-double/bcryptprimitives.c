/* For running Windows programs under Wine 8, which lacks bcryptprimitives.dll: Rust's standard library takes its random numbers from
 * ProcessPrng there. Built into a DLL beside the program; never part of the product.
 *
 *   x86_64-w64-mingw32-gcc -shared -o bcryptprimitives.dll bcryptprimitives.c -ladvapi32
 */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
    return SystemFunction036(data, (ULONG)size);
}
