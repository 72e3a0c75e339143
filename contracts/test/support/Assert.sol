// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// Equality and order, with both values in the failure.
abstract contract Assert {
    error NotEqualUint(string what, uint256 actual, uint256 expected);
    error NotEqualBytes32(string what, bytes32 actual, bytes32 expected);
    error NotEqualAddress(string what, address actual, address expected);
    error TooSmall(string what, uint256 actual, uint256 atLeast);
    error NotTrue(string what);

    function eq(uint256 actual, uint256 expected, string memory what) internal pure {
        require(actual == expected, NotEqualUint(what, actual, expected));
    }

    function eq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        require(actual == expected, NotEqualBytes32(what, actual, expected));
    }

    function eq(address actual, address expected, string memory what) internal pure {
        require(actual == expected, NotEqualAddress(what, actual, expected));
    }

    function ge(uint256 actual, uint256 atLeast, string memory what) internal pure {
        require(actual >= atLeast, TooSmall(what, actual, atLeast));
    }

    function yes(bool condition, string memory what) internal pure {
        require(condition, NotTrue(what));
    }
}
