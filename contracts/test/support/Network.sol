// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RewardToken} from "../../src/RewardToken.sol";
import {Settlement} from "../../src/Settlement.sol";
import {Assert} from "./Assert.sol";
import {Tree} from "./Tree.sol";
import {vm} from "./Vm.sol";

/// A deployed token and settlement with this contract as minter and admin, and epochs made from rows.
abstract contract Network is Assert {
    uint64 internal constant WINDOW = 1 hours;
    uint64 internal constant EXIT_DELAY = 2 days;

    address internal constant SETTLER = address(0x5E7);
    address internal constant GUARDIAN = address(0x6A4D);
    address internal constant REQUESTER = address(0x4E0);
    address internal constant ALICE = address(0xA11CE);
    address internal constant BOB = address(0xB0B);

    RewardToken internal token;
    Settlement internal settlement;

    /// An account with all that it was ever credited or debited.
    struct Row {
        address account;
        uint256 cumulative;
    }

    function _deploy() internal {
        vm.warp(1_800_000_000);
        token = new RewardToken("Surge Test", "SRGT", address(this));
        settlement = new Settlement(token, address(this), SETTLER, GUARDIAN, WINDOW, EXIT_DELAY);
    }

    function _deposit(address requester, uint256 amount) internal {
        token.mint(requester, amount);
        vm.startPrank(requester);
        token.approve(address(settlement), amount);
        settlement.deposit(requester, amount);
        vm.stopPrank();
    }

    function _leaves(Settlement.Side side, Row[] memory rows) internal view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](rows.length);
        for (uint256 i = 0; i < rows.length; i++) {
            leaves[i] = settlement.leaf(side, rows[i].account, rows[i].cumulative);
        }
    }

    function _sum(Row[] memory rows) internal pure returns (uint256 total) {
        for (uint256 i = 0; i < rows.length; i++) {
            total += rows[i].cumulative;
        }
    }

    function _propose(uint64 epoch, Row[] memory credits, Row[] memory debits) internal {
        bytes32 creditRoot = Tree.root(_leaves(Settlement.Side.Credit, credits));
        bytes32 debitRoot = Tree.root(_leaves(Settlement.Side.Debit, debits));
        Settlement.Totals memory totals = Settlement.Totals(_sum(credits), _sum(debits));
        vm.prank(SETTLER);
        settlement.proposeEpoch(epoch, creditRoot, debitRoot, totals, keccak256(abi.encode(epoch)), "file:epoch");
    }

    function _settle(uint64 epoch, Row[] memory credits, Row[] memory debits) internal {
        _propose(epoch, credits, debits);
        vm.warp(block.timestamp + WINDOW);
        settlement.finalizeEpoch(epoch);
    }

    function _creditProof(Row[] memory rows, uint256 index) internal view returns (bytes32[] memory) {
        return Tree.proof(_leaves(Settlement.Side.Credit, rows), index);
    }

    function _debitProof(Row[] memory rows, uint256 index) internal view returns (bytes32[] memory) {
        return Tree.proof(_leaves(Settlement.Side.Debit, rows), index);
    }

    function _rows(address account, uint256 cumulative) internal pure returns (Row[] memory rows) {
        rows = new Row[](1);
        rows[0] = Row(account, cumulative);
    }

    function _rows(address a, uint256 cumulativeA, address b, uint256 cumulativeB)
        internal
        pure
        returns (Row[] memory rows)
    {
        rows = new Row[](2);
        rows[0] = Row(a, cumulativeA);
        rows[1] = Row(b, cumulativeB);
    }
}
