// *FORMAT-OFF*
Q(/lib)
