// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {RewardToken} from "../src/RewardToken.sol";
import {Assert} from "./support/Assert.sol";
import {vm} from "./support/Vm.sol";

contract RewardTokenTest is Assert {
    uint256 private constant KEY = 0xA11CE;
    address private constant BOB = address(0xB0B);
    bytes32 private constant PERMIT =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant TRANSFER = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    RewardToken private token;
    address private alice;

    function setUp() public {
        vm.warp(1_800_000_000);
        token = new RewardToken("Surge Test", "SRGT", address(this));
        alice = vm.addr(KEY);
    }

    function _signed(bytes32 structHash) private view returns (uint8, bytes32, bytes32) {
        return vm.sign(KEY, keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash)));
    }

    function test_only_a_minter_mints() public {
        bytes32 role = token.MINTER_ROLE();
        vm.expectRevert(abi.encodeWithSelector(IAccessControl.AccessControlUnauthorizedAccount.selector, BOB, role));
        vm.prank(BOB);
        token.mint(BOB, 1);

        token.mint(BOB, 7);
        eq(token.balanceOf(BOB), 7, "balance");
        token.revokeRole(role, address(this));
        vm.expectPartialRevert(IAccessControl.AccessControlUnauthorizedAccount.selector);
        token.mint(BOB, 1);
    }

    function test_the_supply_fits_128_bits() public {
        token.mint(BOB, type(uint128).max);
        vm.expectPartialRevert(bytes4(keccak256("ERC20ExceededSafeSupply(uint256,uint256)")));
        token.mint(BOB, 1);
    }

    function testFuzz_a_permit_allows_once(uint128 amount) public {
        uint256 deadline = block.timestamp + 60;
        (uint8 v, bytes32 r, bytes32 s) = _signed(keccak256(abi.encode(PERMIT, alice, BOB, amount, 0, deadline)));
        token.permit(alice, BOB, amount, deadline, v, r, s);
        eq(token.allowance(alice, BOB), amount, "allowance");
        eq(token.nonces(alice), 1, "nonce");
        vm.expectPartialRevert(bytes4(keccak256("ERC2612InvalidSigner(address,address)")));
        token.permit(alice, BOB, amount, deadline, v, r, s);
    }

    function testFuzz_a_signed_transfer_happens_once_and_in_its_time(uint128 amount, bytes32 nonce) public {
        token.mint(alice, amount);
        uint256 validBefore = block.timestamp + 60;
        bytes32 structHash = keccak256(abi.encode(TRANSFER, alice, BOB, amount, 0, validBefore, nonce));
        (uint8 v, bytes32 r, bytes32 s) = _signed(structHash);

        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidSignature.selector));
        token.transferWithAuthorization(alice, address(this), amount, 0, validBefore, nonce, v, r, s);

        token.transferWithAuthorization(alice, BOB, amount, 0, validBefore, nonce, v, r, s);
        eq(token.balanceOf(BOB), amount, "received");
        yes(token.authorizationState(alice, nonce), "the nonce is used");

        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, alice, nonce));
        token.transferWithAuthorization(alice, BOB, amount, 0, validBefore, nonce, v, r, s);

        vm.warp(validBefore);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, 0, validBefore));
        token.transferWithAuthorization(alice, BOB, amount, 0, validBefore, nonce, v, r, s);
    }

    function test_votes_follow_tokens_by_the_timestamp_clock() public {
        token.mint(alice, 10);
        vm.prank(alice);
        token.delegate(alice);
        uint256 then = block.timestamp;
        vm.warp(then + 10);
        vm.prank(alice);
        token.transfer(BOB, 4);
        vm.warp(then + 20);
        eq(token.clock(), then + 20, "clock");
        eq(keccak256(bytes(token.CLOCK_MODE())), keccak256("mode=timestamp"), "mode");
        eq(token.getPastVotes(alice, then), 10, "before the transfer");
        eq(token.getPastVotes(alice, then + 10), 6, "after the transfer");
    }
}
