// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {RewardToken} from "../src/RewardToken.sol";
import {Settlement} from "../src/Settlement.sol";
import {Network} from "./support/Network.sol";
import {Tree} from "./support/Tree.sol";
import {vm} from "./support/Vm.sol";

/// Acts as requesters, contributors, settler and guardian in any order, and as a settler that lies: roots that promise
/// more than their totals, and debit leaves that are too small.
contract Actors is Network {
    uint256 private constant PEOPLE = 4;

    struct Published {
        Row[] credits;
        Row[] debits;
    }

    mapping(uint64 epoch => Published) private published;
    uint256 public withdrawn;
    uint256 public deposits;
    /// What each call achieved: the invariants say nothing if nothing ever happens.
    mapping(bytes32 what => uint256) public done;

    constructor(RewardToken token_, Settlement settlement_) {
        (token, settlement) = (token_, settlement_);
    }

    function _person(uint256 seed) private pure returns (address) {
        return address(uint160(0x10_000 + seed % PEOPLE));
    }

    function depositSome(uint256 who, uint64 amount) external {
        if (amount == 0) return;
        _deposit(_person(who), amount);
        deposits += amount;
    }

    function proposeSome(uint256 seed, uint256 share, bool lies) external {
        uint64 epoch = settlement.lastEpoch() + 1;
        if (settlement.epochs(epoch).proposedAt != 0) return;
        uint256 before = settlement.epochs(epoch - 1).totals.creditsCum;
        uint256 room = settlement.totalDeposited() - before;
        // Sometimes one more than there is: that proposal must be refused.
        uint256 total = before + share % (room + 2);
        _write(published[epoch].credits, published[epoch - 1].credits, total - before, seed, lies);
        _write(published[epoch].debits, published[epoch - 1].debits, total - before, seed >> 128, false);
        if (lies) published[epoch].debits[seed % PEOPLE].cumulative /= 2;
        bytes32 creditRoot = Tree.root(_leaves(Settlement.Side.Credit, published[epoch].credits));
        bytes32 debitRoot = Tree.root(_leaves(Settlement.Side.Debit, published[epoch].debits));
        vm.prank(SETTLER);
        try settlement.proposeEpoch(epoch, creditRoot, debitRoot, Settlement.Totals(total, total), 0, "") {
            done["proposals"]++;
        } catch {
            done["refused proposals"]++;
        }
    }

    /// Last epoch's rows, with `added` spread over two people; a liar promises it to everybody.
    function _write(Row[] storage rows, Row[] storage last, uint256 added, uint256 seed, bool lies) private {
        while (rows.length != 0) rows.pop();
        for (uint256 i = 0; i < PEOPLE; i++) {
            rows.push(Row(_person(i), last.length == 0 ? 0 : last[i].cumulative));
            if (lies) rows[i].cumulative += added;
        }
        if (lies) return;
        uint256 part = added == 0 ? 0 : seed % (added + 1);
        rows[seed % PEOPLE].cumulative += part;
        rows[(seed >> 8) % PEOPLE].cumulative += added - part;
    }

    function vetoNow(uint8 chance) external {
        uint64 epoch = settlement.lastEpoch() + 1;
        if (chance % 4 != 0 || settlement.epochs(epoch).proposedAt == 0) return;
        vm.prank(GUARDIAN);
        settlement.vetoEpoch(epoch, "");
    }

    function finalizeNext(uint32 wait) external {
        uint64 epoch = settlement.lastEpoch() + 1;
        vm.warp(block.timestamp + wait % (2 * WINDOW));
        uint64 proposedAt = settlement.epochs(epoch).proposedAt;
        if (proposedAt == 0 || block.timestamp < proposedAt + WINDOW) return;
        settlement.finalizeEpoch(epoch);
        done["epochs"]++;
    }

    function claimSome(uint256 who, uint64 which) external {
        uint64 last = settlement.lastEpoch();
        if (last == 0) return;
        uint64 epoch = 1 + which % last;
        uint256 index = who % PEOPLE;
        Row memory row = published[epoch].credits[index];
        bytes32[] memory proof = _creditProof(published[epoch].credits, index);
        vm.prank(row.account);
        try settlement.claim(row.cumulative, epoch, proof) {
            done["claims"]++;
        } catch {
            done["refused claims"]++;
        }
    }

    function requestExit(uint256 who) external {
        address requester = _person(who);
        if (settlement.exitRequestedAt(requester) != 0) return;
        vm.prank(requester);
        settlement.requestExit();
        vm.warp(block.timestamp + EXIT_DELAY + 1);
    }

    function withdrawUnspent(uint256 who) external {
        uint64 epoch = settlement.lastEpoch();
        if (epoch == 0) return;
        uint256 index = who % PEOPLE;
        Row memory row = published[epoch].debits[index];
        bytes32[] memory proof = _debitProof(published[epoch].debits, index);
        uint256 held = settlement.deposited(row.account);
        vm.prank(row.account);
        try settlement.withdrawUnspent(row.cumulative, epoch, proof, row.account) {
            withdrawn += held - row.cumulative;
            done["withdrawals"]++;
        } catch {
            done["refused withdrawals"]++;
        }
    }
}

contract ConservationTest is Network {
    Actors private actors;

    function setUp() public {
        _deploy();
        actors = new Actors(token, settlement);
        token.grantRole(token.MINTER_ROLE(), address(actors));
    }

    /// Which contracts the fuzzer calls.
    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(actors);
    }

    function invariant_every_finalized_credit_can_be_paid() public view {
        uint256 credits = settlement.epochs(settlement.lastEpoch()).totals.creditsCum;
        ge(token.balanceOf(address(settlement)), credits - settlement.totalClaimed(), "held");
    }

    function invariant_a_proposed_epoch_can_be_paid_as_well() public view {
        ge(settlement.totalDeposited(), settlement.epochs(settlement.lastEpoch() + 1).totals.creditsCum, "deposits");
    }

    function invariant_every_token_is_accounted_for() public view {
        uint256 held = actors.deposits() - actors.withdrawn() - settlement.totalClaimed();
        eq(token.balanceOf(address(settlement)), held, "balance");
        eq(settlement.totalDeposited(), actors.deposits() - actors.withdrawn(), "deposits");
    }

    /// The actors do reach every kind of event, a lying settler's included.
    function test_the_actors_are_able_to_do_everything() public {
        actors.depositSome(0, 1_000);
        actors.depositSome(1, 1_000);
        actors.proposeSome(3, 400, true);
        actors.finalizeNext(uint32(WINDOW));
        actors.claimSome(0, 0);
        actors.claimSome(1, 0);
        eq(actors.done("claims"), 1, "one claim fills the totals");
        eq(actors.done("refused claims"), 1, "the next is refused");
        actors.requestExit(0);
        actors.proposeSome(0, 100, false);
        actors.finalizeNext(uint32(WINDOW));
        actors.withdrawUnspent(0);
        eq(actors.done("withdrawals"), 1, "withdrawal");
        actors.proposeSome(0, settlement.totalDeposited() - 500 + 1, false);
        eq(actors.done("refused proposals"), 1, "more than all deposits");
        eq(actors.done("epochs"), 2, "epochs");
    }
}
