// ES256 by schoolbook arithmetic (FIPS 186-4, 6.4; curve P-256 of D.1.2.3): Wine has no elliptic keys, so in tests this
// stands in for the two calls of check.ps1 to the cryptography of Windows.
using System;
using System.Numerics;

public static class EllipticCheck
{
    static BigInteger Hex(string text) { return BigInteger.Parse("0" + text, System.Globalization.NumberStyles.HexNumber); }
    static readonly BigInteger P = Hex("FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF");
    static readonly BigInteger N = Hex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");
    static readonly BigInteger B = Hex("5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B");
    static readonly BigInteger[] G =
    {
        Hex("6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296"),
        Hex("4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"),
        BigInteger.One
    };

    static BigInteger Mod(BigInteger value, BigInteger by) { BigInteger rest = value % by; return rest.Sign < 0 ? rest + by : rest; }
    static BigInteger Inverse(BigInteger value, BigInteger by) { return BigInteger.ModPow(Mod(value, by), by - 2, by); }
    static BigInteger Number(byte[] data, int from)
    {
        byte[] little = new byte[33];
        for (int index = 0; index < 32; index++) little[31 - index] = data[from + index];
        return new BigInteger(little);
    }

    // Points as (X, Y, Z) for (X/Z^2, Y/Z^3), so that nothing is divided until the end; null is the point at infinity.
    static BigInteger[] Twice(BigInteger[] one)
    {
        if (one == null || one[1].IsZero) return null;
        BigInteger square = Mod(one[1] * one[1], P), z = Mod(one[2] * one[2], P);
        BigInteger s = Mod(4 * one[0] * square, P), m = Mod(3 * (one[0] - z) * (one[0] + z), P);
        BigInteger x = Mod(m * m - 2 * s, P);
        return new BigInteger[] { x, Mod(m * (s - x) - 8 * square * square, P), Mod(2 * one[1] * one[2], P) };
    }

    static BigInteger[] Add(BigInteger[] one, BigInteger[] other)
    {
        if (one == null) return other;
        if (other == null) return one;
        BigInteger z = Mod(one[2] * one[2], P), w = Mod(other[2] * other[2], P);
        BigInteger u = Mod(one[0] * w, P), s = Mod(one[1] * w * other[2], P);
        BigInteger h = Mod(other[0] * z - u, P), r = Mod(other[1] * z * one[2] - s, P);
        if (h.IsZero) return r.IsZero ? Twice(one) : null;
        BigInteger square = Mod(h * h, P), cube = Mod(square * h, P);
        BigInteger x = Mod(r * r - cube - 2 * u * square, P);
        return new BigInteger[] { x, Mod(r * (u * square - x) - s * cube, P), Mod(h * one[2] * other[2], P) };
    }

    static BigInteger[] Times(BigInteger factor, BigInteger[] point)
    {
        BigInteger[] sum = null;
        for (; !factor.IsZero; factor >>= 1)
        {
            if (!factor.IsEven) sum = Add(sum, point);
            point = Twice(point);
        }
        return sum;
    }

    public static bool Verify(byte[] point, byte[] hash, byte[] signature)
    {
        BigInteger[] key = { Number(point, 0), Number(point, 32), BigInteger.One };
        BigInteger r = Number(signature, 0), s = Number(signature, 32);
        bool onCurve = Mod(key[1] * key[1] - key[0] * key[0] * key[0] + 3 * key[0] - B, P).IsZero;
        if (!onCurve || r.Sign <= 0 || s.Sign <= 0 || r >= N || s >= N) return false;
        BigInteger w = Inverse(s, N);
        BigInteger[] sum = Add(Times(Mod(Number(hash, 0) * w, N), G), Times(Mod(r * w, N), key));
        return sum != null && Mod(Mod(sum[0] * Inverse(sum[2] * sum[2], P), P), N) == r;
    }
}
